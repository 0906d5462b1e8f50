-- The last profile of the batch.
SELECT max(profile_id) FROM batch
