-- What in the new settings would change midnights that were settled by the old ones, in words, and what cannot be at all,
-- because it contradicts the events that are there.
WITH wanted AS (
    SELECT * FROM jsonb_to_recordset(CAST(:actions AS jsonb)) AS a(action text, effect text, validity_days integer)
    WHERE effect = 'earn'
), changed AS (
    SELECT 1 AS place, false AS impossible, format('timezone %s instead of %s', CAST(:timezone AS text), timezone) AS change
    FROM loyalty.program WHERE timezone <> CAST(:timezone AS text)
    UNION ALL
    SELECT 2, false, format('%s is valid for %s days instead of %s', known.action,
                            coalesce(wanted.validity_days::text, 'unlimited'),
                            coalesce(known.validity_days::text, 'unlimited'))
    FROM loyalty.action AS known JOIN wanted USING (action)
    WHERE known.effect = 'earn' AND wanted.validity_days IS DISTINCT FROM known.validity_days
      AND EXISTS (SELECT FROM loyalty.event WHERE event.action = known.action)
    UNION ALL
    SELECT 3, true, format('%s has events that brought points, and is no earning action any more', known.action)
    FROM loyalty.action AS known
    WHERE known.effect = 'earn' AND known.action NOT IN (SELECT action FROM wanted)
      AND EXISTS (SELECT FROM loyalty.event WHERE event.action = known.action)
    UNION ALL
    SELECT 3, true, format('%s has events that brought no points, and is an earning action now', wanted.action)
    FROM wanted LEFT JOIN loyalty.action AS known ON known.action = wanted.action AND known.effect = 'earn'
    WHERE known.action IS NULL AND EXISTS (SELECT FROM loyalty.event WHERE event.action = wanted.action)
    UNION ALL
    SELECT 4, true, format('%s %s in debt, which the program allows no more', count(*),
                           CASE count(*) WHEN 1 THEN 'customer is' ELSE 'customers are' END)
    FROM loyalty.account CROSS JOIN loyalty.program
    WHERE account.balance < 0 AND program.allow_debt AND NOT CAST(:allow_debt AS boolean) HAVING count(*) > 0
)
SELECT change, impossible FROM changed
WHERE impossible OR EXISTS (SELECT FROM loyalty.account WHERE latest_at IS NOT NULL)
ORDER BY place, change
