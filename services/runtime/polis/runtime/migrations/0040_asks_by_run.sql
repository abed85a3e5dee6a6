-- The asks of a run, of whatever state: they are looked for by it, and go with it. The links of an ask go with that.

drop index runtime.asks_open_by_run;
create index asks_by_run on runtime.asks (org_id, run_id, id);
create index ask_links_by_ask on runtime.ask_links (org_id, ask_id);
