-- Agents that were stopped a moment ago. A run that was asked for before that and is written behind it is refused by the insert
-- itself; whoever asks later than that is told by identity.

create table runtime.stopped_agents (
    org_id uuid not null,
    agent_id uuid not null,
    stopped_at timestamptz not null,
    primary key (org_id, agent_id)
);
call runtime.tenant_table('stopped_agents');

-- Who stops an agent holds this lock alone while it looks for runs to cancel: what is being inserted is waited for and then
-- seen, and what is inserted later sees the row. `volatile`, so that the look has a snapshot from behind the lock.
create function runtime.demand_standing() returns trigger language plpgsql volatile as $$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended('runtime.agents ' || new.actor_id::text, 0));
    if exists (
        select from runtime.stopped_agents s
        where s.org_id = new.org_id and s.agent_id = new.actor_id
            and s.stopped_at > clock_timestamp() - interval '1 minute'
    ) then
        raise exception using
            errcode = 'check_violation', constraint = 'runs_actor_stands', message = 'the actor was stopped';
    end if;
    return new;
end
$$;
-- Whoever starts a run as themselves has a token, which is worth nothing once they are suspended.
create trigger runs_actor_stands before insert on runtime.runs
    for each row when (new.actor_id <> new.started_by) execute function runtime.demand_standing();
