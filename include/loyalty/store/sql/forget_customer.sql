SELECT forgotten, forgotten_at, is_news FROM loyalty.forget_customer(:customer)
