-- Messages by which something is asked: a reply to one is an answer. Only messaging writes them, so no message passes for one.
create table messaging.asked (
    org_id uuid not null,
    conversation_id uuid not null,
    seq bigint not null,
    ask_id uuid not null,
    sender_id uuid not null,
    primary key (org_id, conversation_id, seq)
);
call messaging.tenant_table('asked', 'select, insert');
