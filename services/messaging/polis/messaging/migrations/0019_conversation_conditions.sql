-- PostgreSQL reads the conditions of a table anew, from their text, for each statement that changes a row of it. What a post
-- changes is in none of them, and they were a tenth of what a single one had executed: they are checked when what they are about is written.
alter table messaging.conversations
    drop constraint conversations_kind_check,
    drop constraint conversations_visibility_check,
    drop constraint conversations_retention_days_check,
    drop constraint conversations_pair;

create function messaging.checked_conversation() returns trigger language plpgsql as $$
begin
    if new.kind not in ('direct', 'group', 'channel', 'agents') or new.visibility not in ('private', 'org')
        or new.retention_days < 0
        or (new.kind = 'direct') is distinct from (new.first_id is not null and new.second_id is not null and new.first_id < new.second_id)
    then
        raise check_violation using message = 'a conversation that cannot be', constraint = 'conversations_checked',
            table = 'conversations', schema = 'messaging';
    end if;
    return new;
end $$;
create trigger checked before insert or update of kind, visibility, retention_days, first_id, second_id
    on messaging.conversations for each row execute function messaging.checked_conversation();
