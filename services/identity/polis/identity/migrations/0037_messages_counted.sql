-- Messaging counts messages and did not listen when quotas for them were set: it is told once more.

alter table identity.quotas no force row level security;
alter table identity.outbox no force row level security;
insert into identity.outbox (id, org_id, subject, fact, entity, payload)
select gen_random_uuid(), q.org_id, format('event.identity.quota_set.%s.%s', q.org_id, q.id), 'quota_set', q.id::text,
    convert_to(json_build_object('org_id', q.org_id, 'quota_id', q.id,
        'subject', json_build_object('kind', q.subject_kind, 'id', q.subject_id),
        'meter', q.meter, 'period', q.period, 'most', q.most)::text, 'UTF8')
from identity.quotas q
where q.meter = 'messages'
order by q.org_id, q.id;
alter table identity.outbox force row level security;
alter table identity.quotas force row level security;
