-- Events are never changed or deleted, and none goes round the ledger: every guard is in place and awake.
WITH guarded AS (
    SELECT relid FROM pg_partition_tree('loyalty.event')
    UNION ALL SELECT 'loyalty.account'::regclass
), wanted AS (
    SELECT relid, unnest(CASE WHEN relid = 'loyalty.account'::regclass
        THEN ARRAY['balance_follows_the_ledger', 'accounts_open_empty', 'accounts_stay', 'live_locks_are_not_stolen']
        ELSE ARRAY['a_check_events', 'a_lock_accounts', 'b_book_events', 'c_confirm_locks', 'd_follow_promotions', 'e_hear_engines',
                   'events_are_not_truncated', 'events_stay'] END) AS guard
    FROM guarded
)
SELECT wanted.relid::text AS guarded, wanted.guard, CASE WHEN tgname IS NULL THEN 'missing' ELSE 'switched off' END AS fault
FROM wanted LEFT JOIN pg_trigger ON tgrelid = wanted.relid AND tgname = wanted.guard
WHERE tgname IS NULL OR tgenabled = 'D'
