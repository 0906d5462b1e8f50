-- What an undo would do: whom it gives how many points back, and whom not.
SELECT CASE WHEN back.key IS NOT NULL THEN 'already_restored' WHEN account.lock_expires_at > clock_timestamp() THEN 'balance_locked' END
           AS reason, count(*) AS member_count, sum(member.points)::bigint AS points
FROM loyalty.journey_member AS member JOIN loyalty.account USING (profile_id)
LEFT JOIN loyalty.event AS back ON back.profile_id = member.profile_id
    AND back.key = loyalty.restore_key(loyalty.cancel_key(member.run_id, member.profile_id))
WHERE member.run_id = :undone AND member.points > 0
GROUP BY 1 ORDER BY 1 NULLS FIRST
