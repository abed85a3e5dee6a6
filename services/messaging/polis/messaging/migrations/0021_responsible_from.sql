-- Since which entry somebody is responsible: who was when something older was said, its entries tell.
alter table messaging.conversations add column responsible_from bigint not null default 0;
comment on column messaging.conversations.responsible_from is
    'the entry that told of it; 0: the conversation began so, or it was told before this was kept';
