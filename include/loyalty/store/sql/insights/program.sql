-- The program as it is worked by, and what time it is there.
SELECT timezone, settings ->> 'name' AS name, settings ->> 'currency' AS currency, (settings ->> 'point_value')::numeric AS point_value,
       (settings ->> 'ends_on')::date AS ends_on, fingerprint, settled_through, clock_timestamp() AS now,
       timezone(timezone, clock_timestamp())::date AS today
FROM loyalty.program
