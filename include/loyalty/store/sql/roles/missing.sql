SELECT name FROM unnest(ARRAY['loyalty_journeys', 'loyalty_ingest', 'loyalty_reader']) AS wanted(name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) ORDER BY name
