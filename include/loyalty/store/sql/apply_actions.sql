-- The actions of the program are known, each with its effect; those that it no longer has are forgotten. Where the
-- rules changed, all events that they read wait for them: what was awarded once is not awarded again.
WITH wanted AS MATERIALIZED (
    SELECT action, effect, parameter, validity_days, coalesce(feeds_rules, false) AS feeds_rules
    FROM jsonb_to_recordset(CAST(:actions AS jsonb))
         AS a(action text, effect text, parameter text, validity_days integer, feeds_rules boolean)
), gone AS (
    DELETE FROM loyalty.action
    WHERE effect IN ('earn', 'none') AND NOT is_signal AND action NOT IN (SELECT action FROM wanted)
), news AS (
    SELECT e.profile_id, min(e.occurred_at) AS award_from
    FROM loyalty.event AS e JOIN wanted USING (action) CROSS JOIN loyalty.program
    WHERE wanted.feeds_rules AND program.settings -> 'earning_rules' IS DISTINCT FROM CAST(:rules AS jsonb)
    GROUP BY e.profile_id
), waiting AS (
    UPDATE loyalty.account SET award_from = least(account.award_from, news.award_from)
    FROM news WHERE account.profile_id = news.profile_id
)
INSERT INTO loyalty.action (action, effect, parameter, validity_days, feeds_rules)
SELECT action, effect, parameter, validity_days, feeds_rules FROM wanted
ON CONFLICT (action) DO UPDATE
SET effect = excluded.effect, parameter = excluded.parameter, validity_days = excluded.validity_days,
    feeds_rules = excluded.feeds_rules
