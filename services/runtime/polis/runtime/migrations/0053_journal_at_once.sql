-- What the journal writes of many runs at a time, each kind in one call: by itself it is a transaction in one round trip.

-- Inserts runs with their first transitions, and the events that tell of them.
create function runtime.write_admissions(
    orgs uuid[], ids uuid[], graphs text[], digests text[], programs text[], states text[], actors uuid[], starters uuid[],
    created timestamptz[], started timestamptz[], ended timestamptz[], seqs bigint[], inputs bytea[], steps bytea[],
    outputs bytea[], errors bytea[], owners uuid[], transitions bytea[], tags text[], parents uuid[], origins uuid[],
    origin_kinds text[], origin_steps text[], attempts bytea[],
    event_ids uuid[], event_orgs uuid[], subjects text[], facts text[], entities text[], payloads bytea[], traces text[]
) returns void language plpgsql set plan_cache_mode = force_generic_plan as $$
begin
    with admitted as (
        insert into runtime.runs (org_id, id, graph, digest, program, state, actor_id, started_by, created_at, started_at,
            ended_at, seq, input, steps, output, error, owner, epoch, tags, parent_id, origin_id, origin_kind, origin_step,
            wake_at, attempts)
        select a.org_id, a.id, a.graph, a.digest, a.program, a.state, a.actor_id, a.started_by, a.created_at, a.started_at,
            a.ended_at, a.seq, a.input, a.steps, a.output, a.error, a.owner, 1, string_to_array(a.tags, ' '), a.parent_id,
            a.origin_id, a.origin_kind, a.origin_step, a.created_at, a.attempts
        from unnest(orgs, ids, graphs, digests, programs, states, actors, starters, created, started, ended, seqs, inputs,
            steps, outputs, errors, owners, tags, parents, origins, origin_kinds, origin_steps, attempts)
            as a (org_id, id, graph, digest, program, state, actor_id, started_by, created_at, started_at, ended_at, seq,
                input, steps, output, error, owner, tags, parent_id, origin_id, origin_kind, origin_step, attempts)
    )
    insert into runtime.transitions (org_id, run_id, last_seq, first_seq, body)
    select t.org_id, t.run_id, t.last_seq, 1, t.body
    from unnest(orgs, ids, seqs, transitions) as t (org_id, run_id, last_seq, body);

    if cardinality(event_ids) > 0 then
        insert into runtime.outbox (id, org_id, subject, fact, entity, payload, trace)
        select e.id, e.org_id, e.subject, e.fact, e.entity, e.payload, e.trace
        from unnest(event_ids, event_orgs, subjects, facts, entities, payloads, traces) with ordinality
            as e (id, org_id, subject, fact, entity, payload, trace, n)
        order by e.n;
    end if;
end $$;

-- Writes what happened in runs of this owner. Of each in turn: 0 when it is not the owner's any more, or has ended, and then
-- nothing is written of it; 1 when it was written, 2 when the run is paused besides. A run without a `seq` gets outcomes
-- alone. outcome_of, event_of: to which of the runs an outcome and an event belong.
--
-- Locking or updating the run's row is the fence: a cancel or another owner comes before it, and then nothing is written, or
-- after it. Outcomes, transitions and events follow from the rows that were found. The fence stands behind `is true`, where
-- no index is seen in it: by that of a process's open runs, each of them would be compared with each flush.
create function runtime.write_progress(
    own uuid, orgs uuid[], ids uuid[], epochs integer[], states text[], started timestamptz[], ended timestamptz[],
    seqs bigint[], all_steps bytea[], outputs bytea[], errors bytea[], all_attempts bytea[], first_seqs bigint[],
    transitions bytea[],
    outcome_of integer[], nodes text[], items text[], bodies bytea[],
    event_of integer[], event_ids uuid[], event_orgs uuid[], subjects text[], facts text[], entities text[],
    payloads bytea[], traces text[]
) returns smallint[] language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
    found_as smallint[];
begin
    with flushed as (
        update runtime.runs r set
            state = case when f.ended_at is not null then f.state when r.paused_at is not null then 'paused'
                when f.state = 'paused' then 'running' else f.state end,
            started_at = f.started_at, ended_at = f.ended_at, seq = f.seq, steps = f.steps, output = f.output,
            error = f.error, attempts = coalesce(f.attempts, r.attempts),
            owner = case when f.ended_at is null then r.owner end
        from unnest(orgs, ids, epochs, states, started, ended, seqs, all_steps, outputs, errors, all_attempts, first_seqs,
            transitions) with ordinality
            as f (org_id, id, epoch, state, started_at, ended_at, seq, steps, output, error, attempts, first_seq, body, n)
        where f.seq is not null
            and r.org_id = f.org_id and r.id = f.id
            and (r.owner = own and r.epoch = f.epoch and r.ended_at is null) is true
        returning f.n, r.paused_at is not null as paused, f.org_id, f.id, f.seq, f.first_seq, f.body
    ), told as (
        insert into runtime.transitions (org_id, run_id, last_seq, first_seq, body)
        select f.org_id, f.id, f.seq, f.first_seq, f.body from flushed f
        on conflict do nothing
    ), locked as (
        select q.n, r.paused_at is not null as paused
        from unnest(orgs, ids, epochs, seqs) with ordinality as q (org_id, id, epoch, seq, n)
        join runtime.runs r on r.org_id = q.org_id and r.id = q.id
        where q.seq is null and (r.owner = own and r.epoch = q.epoch and r.ended_at is null) is true
        for share of r
    )
    select array_agg(a.code order by a.n) into found_as from (
        select u.n, max(u.code)::smallint as code from (
            select n, 0 as code from generate_subscripts(ids, 1) as n
            union all select f.n, case when f.paused then 2 else 1 end from flushed f
            union all select l.n, case when l.paused then 2 else 1 end from locked l
        ) u group by u.n
    ) a;

    if cardinality(outcome_of) > 0 then
        insert into runtime.journal (org_id, run_id, node, item, body)
        select orgs[o.n], ids[o.n], o.node, o.item, o.body
        from unnest(outcome_of, nodes, items, bodies) as o (n, node, item, body)
        where found_as[o.n] > 0
        on conflict do nothing;
    end if;

    if cardinality(event_of) > 0 then
        insert into runtime.outbox (id, org_id, subject, fact, entity, payload, trace)
        select e.id, e.org_id, e.subject, e.fact, e.entity, e.payload, e.trace
        from unnest(event_of, event_ids, event_orgs, subjects, facts, entities, payloads, traces) with ordinality
            as e (of_run, id, org_id, subject, fact, entity, payload, trace, n)
        where found_as[e.of_run] > 0 order by e.n;
    end if;
    return found_as;
end $$;
