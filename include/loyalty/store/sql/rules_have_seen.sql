-- Nothing of the batch waits for the earning rules any more.
UPDATE loyalty.account SET award_from = NULL FROM batch WHERE account.profile_id = batch.profile_id
