-- Customers who have this id, or this text as their address.
SELECT profile_id, customer_id FROM loyalty.profile WHERE customer_id = :words
UNION
SELECT profile_id, customer_id FROM loyalty.profile
WHERE attributes @> jsonb_build_object(CAST(:attribute AS text), CAST(:words AS text))
ORDER BY customer_id LIMIT 50
