-- What going back to a moment needs to know of sets: which resource a set touched (its key may belong to another by now), and how
-- that was before the set was undone: `[]` when it was not there, null when the set was not undone or nobody kept it.

alter table catalog.effects
    add column resource_id uuid,
    add column before_undo text;
grant update (before_undo, resource_id) on catalog.effects to app_catalog;
