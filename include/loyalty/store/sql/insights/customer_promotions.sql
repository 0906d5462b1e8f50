SELECT activation.promotion, promotion.title, activation.points, activation.state, activation.activated_at, activation.lapses_at, activation.ended_at
FROM loyalty.promotion_activation AS activation LEFT JOIN loyalty.promotion USING (promotion)
WHERE activation.profile_id = :profile_id ORDER BY activation.activated_at DESC LIMIT 100
