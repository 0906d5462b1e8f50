-- When the points held at the end of a closed day fall due, month by month, with their money.
SELECT ageing.day, CASE due_month WHEN '9999-12-01' THEN 'never' WHEN '0001-01-01' THEN 'next midnight' ELSE to_char(due_month, 'YYYY-MM') END AS due_month,
       points, points * point_value AS money, currency
FROM loyalty.daily_close_ageing AS ageing JOIN loyalty.daily_close USING (day)
WHERE ageing.day >= coalesce(CAST(:first AS date), ageing.day) AND ageing.day <= coalesce(CAST(:last AS date), ageing.day)
ORDER BY ageing.day, ageing.due_month
