-- Its plan is the same for one post and for hundreds, and making it anew for each small group costs more than carrying it out.
alter function messaging.lock_for_posts(uuid[], uuid[], uuid[], text[], bigint[], bigint[])
    set plan_cache_mode = force_generic_plan;
