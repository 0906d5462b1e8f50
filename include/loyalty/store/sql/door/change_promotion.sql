SELECT activation, promotion, points, state, lapses_at
FROM loyalty.change_promotion(:token, :customer, :verb, CAST(:called AS uuid), CAST(:promotion AS text))
