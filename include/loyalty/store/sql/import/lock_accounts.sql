-- Lock order of the whole system: accounts, ascending. Events are decided upon and inserted only after it.
SELECT count(*) FROM (
    SELECT account.profile_id FROM loyalty.account JOIN import_profile USING (profile_id)
    ORDER BY account.profile_id FOR NO KEY UPDATE OF account
) AS locked
