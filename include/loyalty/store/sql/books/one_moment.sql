-- All that this transaction reads is of one moment: it is the first statement.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ
