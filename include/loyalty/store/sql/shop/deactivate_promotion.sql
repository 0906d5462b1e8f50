SELECT activation, promotion, points, state, lapses_at FROM loyalty.deactivate_promotion(:customer, :activation)
