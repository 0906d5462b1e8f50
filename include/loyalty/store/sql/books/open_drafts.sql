-- What a close works on, until its transaction ends.
DO $$
BEGIN
    SET LOCAL client_min_messages = warning;
    CREATE TEMP TABLE IF NOT EXISTS draft_day (LIKE loyalty.daily_close INCLUDING DEFAULTS) ON COMMIT DELETE ROWS;
    CREATE TEMP TABLE IF NOT EXISTS draft_entry (LIKE loyalty.booked_entry, opens_on date) ON COMMIT DELETE ROWS;
    CREATE TEMP TABLE IF NOT EXISTS draft_ageing (day date, due_month date, points bigint) ON COMMIT DELETE ROWS;
    CREATE TEMP TABLE IF NOT EXISTS draft_cohort (
        earned_month date, earned bigint, expired bigint, cancelled bigint, remaining bigint) ON COMMIT DELETE ROWS;
END $$
