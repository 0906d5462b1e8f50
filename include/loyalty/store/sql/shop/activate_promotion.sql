SELECT activation, promotion, points, state, lapses_at FROM loyalty.activate_promotion(:customer, :promotion, :key)
