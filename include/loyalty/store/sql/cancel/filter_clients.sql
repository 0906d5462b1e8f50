-- Members with active promotions are to have them deactivated; the others can be deducted as they are.
WITH asked AS (
    UPDATE loyalty.promotion_activation AS activation SET state = 'deactivating', run_id = :run_id
    FROM batch WHERE activation.profile_id = batch.profile_id AND activation.state = 'active'
    RETURNING activation.profile_id
), marked AS (
    UPDATE loyalty.journey_member AS member SET state = 'deactivating'
    WHERE member.run_id = :run_id AND member.profile_id IN (SELECT profile_id FROM asked)
    RETURNING member.profile_id
)
SELECT (SELECT count(*) FROM marked) AS member_count, (SELECT count(*) FROM asked) AS promotion_count
