-- Events are never changed or deleted, and none goes round the ledger: every guard is in place and awake for everybody.
WITH wanted AS (
    SELECT relid, unnest(ARRAY['a_check_events', 'a_lock_accounts', 'b_book_events', 'b_count_points', 'c_confirm_locks', 'd_follow_promotions',
                               'e_hear_engines', 'f_hear_mailboxes', 'g_queue_deliveries', 'events_are_not_truncated', 'events_stay']) AS guard
    FROM pg_partition_tree('loyalty.event')
    UNION ALL
    SELECT 'loyalty.account'::regclass, unnest(ARRAY['balance_follows_the_ledger', 'accounts_open_empty', 'accounts_stay',
                                                     'live_locks_are_not_stolen'])
    UNION ALL
    SELECT 'loyalty.profile'::regclass, unnest(ARRAY['open_accounts', 'profiles_stay'])
    UNION ALL
    SELECT 'loyalty.journey_run'::regclass, 'runs_stay'
    UNION ALL
    SELECT 'loyalty.journey_member'::regclass, 'count_members'
    UNION ALL
    SELECT 'loyalty.email'::regclass, unnest(ARRAY['count_mail', 'count_mail_owed'])
    UNION ALL
    SELECT 'loyalty.program'::regclass, 'counters_follow_the_zone'
    UNION ALL
    SELECT 'loyalty.daily_close'::regclass, unnest(ARRAY['days_are_chained', 'closed_days_stay'])
    UNION ALL
    SELECT unnest(ARRAY['loyalty.daily_close_ageing', 'loyalty.daily_close_cohort'])::regclass, 'closed_days_stay'
)
SELECT wanted.relid::text AS guarded, wanted.guard,
       CASE tgenabled WHEN 'D' THEN 'switched off' WHEN 'R' THEN 'awake for replicas only' ELSE 'missing' END AS fault
FROM wanted LEFT JOIN pg_trigger ON tgrelid = wanted.relid AND tgname = wanted.guard
WHERE tgname IS NULL OR tgenabled IN ('D', 'R')
