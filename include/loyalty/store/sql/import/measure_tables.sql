-- No autovacuum sees a temporary table: without this the planner guesses.
ANALYZE import_event, import_profile
