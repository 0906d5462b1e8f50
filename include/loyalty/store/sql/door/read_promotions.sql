SELECT loyalty.read_promotions(:token, :customer)
