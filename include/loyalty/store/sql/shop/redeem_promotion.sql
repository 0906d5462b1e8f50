SELECT activation, promotion, points, state, lapses_at FROM loyalty.redeem_promotion(:customer, :activation)
