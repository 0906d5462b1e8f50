-- The hash of the settings that were applied last.
SELECT fingerprint FROM loyalty.program
