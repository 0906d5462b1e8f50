-- The planner knows how many profiles the batch holds.
ANALYZE batch
