SELECT activation, promotion, points, state, lapses_at
FROM loyalty.change_promotion(:token, :customer, :verb, :name, CAST(:key AS uuid))
