-- Per account whose balance would leave what it may be: its latest gains above 2^53, its latest losses below zero
-- (below the smallest bigint, where debt is allowed). Only such accounts are looked at row by row.
WITH pending AS (
    SELECT e.row_number, e.customer_id, e.occurred_at, e.points
    FROM import_event AS e
    WHERE e.reason IS NULL AND e.points <> 0
      AND NOT EXISTS (SELECT FROM import_there AS there WHERE there.row_number = e.row_number)
), total AS (
    SELECT customer_id, coalesce(sum(points) FILTER (WHERE points > 0), 0) AS gains, sum(points) AS net,
           coalesce(sum(points) FILTER (WHERE points < 0), 0) AS losses
    FROM pending GROUP BY customer_id
), broken AS (
    SELECT total.customer_id, total.gains, coalesce(account.balance, 0)::numeric AS balance,
           CASE WHEN program.allow_debt THEN -9223372036854775808 ELSE 0 END AS floor
    FROM total CROSS JOIN loyalty.program
    LEFT JOIN import_profile AS profile USING (customer_id)
    LEFT JOIN loyalty.account USING (profile_id)
    WHERE coalesce(account.balance, 0) + total.net < CASE WHEN program.allow_debt THEN -9223372036854775808 ELSE 0 END
       OR coalesce(account.balance, 0) + total.gains > 9007199254740992
       OR coalesce(account.balance, 0) + total.losses < -9223372036854775808
), running AS (
    SELECT pending.row_number, pending.points, broken.floor, broken.customer_id,
           broken.balance + CASE WHEN pending.points < 0 THEN broken.gains ELSE 0 END + sum(pending.points) OVER (
               PARTITION BY pending.customer_id, pending.points < 0 ORDER BY pending.occurred_at, pending.row_number) AS balance
    FROM pending JOIN broken USING (customer_id)
)
UPDATE import_event AS e SET reason = CASE
    WHEN running.points > 0 OR running.floor < 0 THEN format('the balance of customer %s would be %s, beyond the largest number that is kept (%s)',
        to_json(running.customer_id), running.balance, CASE WHEN running.points > 0 THEN '2^53' ELSE '2^63' END)
    ELSE format('the balance of customer %s would be %s, and the program allows no debt: points may not have been awarded '
        'yet (award them, then import the file again)', to_json(running.customer_id), running.balance)
END
FROM running
WHERE running.row_number = e.row_number
  AND ((running.points > 0 AND running.balance > 9007199254740992) OR (running.points < 0 AND running.balance < running.floor))
