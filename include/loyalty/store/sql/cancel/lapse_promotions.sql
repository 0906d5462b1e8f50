-- What has lapsed says so.
UPDATE loyalty.promotion_activation AS activation SET state = 'lapsed', ended_at = lapses_at
FROM batch WHERE activation.profile_id = batch.profile_id AND activation.state = 'active' AND activation.lapses_at <= clock_timestamp()
