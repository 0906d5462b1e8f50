-- Where the profiles of one transaction's work stand; emptied by its commit.
CREATE TEMPORARY TABLE IF NOT EXISTS batch (profile_id bigint PRIMARY KEY) ON COMMIT DELETE ROWS
