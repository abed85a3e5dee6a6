-- A grant under the condition of approval counts from the moment that a second person approved it.

alter table identity.grants
    add column approved_by uuid,
    add column approved_at timestamptz,
    add check ((approved_by is null) = (approved_at is null)),
    add check (approved_by is null or approval),
    add check (approved_by <> given_by);
