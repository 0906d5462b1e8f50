-- Reversals, corrections and ends of events that are neither in the ledger nor accepted from this file, or not of a kind that
-- can be reversed or corrected. The ledger's word comes before the file's.
UPDATE import_event AS e SET reason = format('%s%s of customer %s: %s %s %s', e.action, ' ' || to_json(e.event_id), to_json(e.customer_id),
    told.parameter, to_json(e.params ->> told.parameter), CASE
        WHEN told.target IS NULL THEN 'is the event_id of no event of this customer, neither in the ledger nor accepted from this file'
        WHEN e.effect = 'reverse' THEN format('is a %s: only points earned can be reversed', told.target)
        WHEN told.parameter = 'activation' THEN format('is a %s: only an activation can be redeemed or deactivated', told.target)
        WHEN told.kind = 'adjust' AND told.instead IS NOT NULL THEN format('is itself a correction, of %s: correct that event', to_json(told.instead))
        WHEN told.kind = 'reverse' THEN format('is a reversal of %s: correct that earning', to_json(told.instead))
        WHEN told.kind = 'expire' THEN 'is an expiry, which the next run corrects by itself: correct what it came from'
        ELSE format('is a %s whose own expires_on is no date, so it says no date for the correction: give it an expires_on', told.target)
    END)
FROM (
    SELECT asking.row_number, CASE asking.effect WHEN 'reverse' THEN 'reverses' WHEN 'adjust' THEN 'corrects' ELSE 'activation' END AS parameter,
           coalesce(known.action, filed.action) AS target, kind.effect AS kind,
           CASE WHEN coalesce(known.refers_to, filed.refers_to) IS NOT NULL THEN coalesce(coalesce(known.params, filed.params)
               ->> CASE kind.effect WHEN 'adjust' THEN 'corrects' ELSE 'reverses' END, known.refers_to::text) END AS instead,
           CASE WHEN asking.effect <> 'adjust' OR asking.params ? 'expires_on' OR kind.effect = 'earn' THEN NULL
                ELSE coalesce(known.params, filed.params) ->> 'expires_on' END AS expires_on
    FROM import_event AS asking
    LEFT JOIN import_profile AS profile USING (customer_id)
    LEFT JOIN loyalty.event AS known ON known.profile_id = profile.profile_id AND known.key = asking.refers_to
    LEFT JOIN import_event AS filed ON filed.customer_id = asking.customer_id AND filed.key = asking.refers_to
        AND filed.reason IS NULL AND filed.row_number <> asking.row_number AND profile.profile_id IS NOT NULL
    LEFT JOIN loyalty.action AS kind ON kind.action = coalesce(known.action, filed.action)
    WHERE asking.reason IS NULL AND asking.refers_to IS NOT NULL
      AND NOT EXISTS (SELECT FROM import_there AS there WHERE there.row_number = asking.row_number)
) AS told
WHERE told.row_number = e.row_number
  AND (told.target IS NULL
    OR (e.effect = 'reverse' AND told.kind IS DISTINCT FROM 'earn')
    OR (told.parameter = 'activation' AND told.kind IS DISTINCT FROM 'redeem')
    OR told.kind IN ('expire', 'reverse')
    OR (told.kind = 'adjust' AND told.instead IS NOT NULL)
    OR NOT CASE
        WHEN told.expires_on IS NULL THEN true
        WHEN told.expires_on ~ '^[1-9]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$'
        THEN right(told.expires_on, 2)::int <= extract(day FROM (left(told.expires_on, 7) || '-01')::date + interval '1 month -1 day')
        ELSE false END)
