SELECT loyalty.read_profile(:token, :customer)
