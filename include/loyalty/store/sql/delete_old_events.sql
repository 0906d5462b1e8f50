SELECT last_profile, deleted
FROM loyalty.delete_old_events(:after, :size, CAST(:cutoffs AS jsonb), CAST(:others AS date), CAST(:kept AS text[]))
