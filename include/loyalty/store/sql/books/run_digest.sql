-- The fingerprint of the ledger of one run: sha256 over all events that it wrote, in order, thousand profiles by thousand.
WITH written AS (
    SELECT e.profile_id, e.key, e.points, concat_ws('|', e.profile_id, e.key, e.action,
        to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), e.points, e.refers_to) AS line
    FROM loyalty.journey_member AS member
    JOIN loyalty.event AS e ON e.profile_id = member.profile_id AND e.run_id = member.run_id
    WHERE member.run_id = :run_id
), part AS (
    SELECT profile_id / 1000 AS part, count(*) AS event_count, coalesce(sum(points), 0) AS points,
           encode(sha256(convert_to(string_agg(line, chr(10) ORDER BY profile_id, key), 'UTF8')), 'hex') AS digest
    FROM written GROUP BY 1
)
SELECT coalesce(sum(event_count), 0)::bigint AS event_count, coalesce(sum(points), 0)::bigint AS points,
       encode(sha256(convert_to(coalesce(string_agg(digest, chr(10) ORDER BY part), ''), 'UTF8')), 'hex') AS digest
FROM part
