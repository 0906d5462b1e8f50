-- Within this transaction, which is rolled back, points of this kind are valid for so many days (null: for ever).
UPDATE loyalty.action SET validity_days = CAST(:days AS integer) WHERE action = :action AND effect = 'earn'
