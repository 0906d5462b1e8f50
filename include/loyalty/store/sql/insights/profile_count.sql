-- How many customers there are, about.
SELECT CASE WHEN reltuples > 20000 THEN reltuples::bigint ELSE (SELECT count(*) FROM loyalty.profile) END
FROM pg_class WHERE oid = 'loyalty.profile'::regclass
