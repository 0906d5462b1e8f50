-- Where a transaction notes which points refunds are about to reverse; emptied by its commit.
CREATE TEMPORARY TABLE IF NOT EXISTS reversal (
    profile_id bigint, key uuid, award_key uuid, rule text, occurred_at timestamptz, points bigint, place bigint
) ON COMMIT DELETE ROWS
