SELECT loyalty.admit(:token, :units)
