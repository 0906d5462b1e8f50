-- No statement of this transaction waits for a lock longer than a second (:milliseconds 0: as long as it takes).
SELECT set_config('lock_timeout', CAST(:milliseconds AS text), true)
