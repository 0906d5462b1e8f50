-- What the members of a batch are to lose; emptied by the commit. A table, and not a part of one statement, so that the
-- planner knows how many they are.
CREATE TEMPORARY TABLE IF NOT EXISTS weighed (
    profile_id bigint PRIMARY KEY, at timestamptz NOT NULL, balance bigint NOT NULL, returned bigint NOT NULL, amount bigint NOT NULL, fault text
) ON COMMIT DELETE ROWS
