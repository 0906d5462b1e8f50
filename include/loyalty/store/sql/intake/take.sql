SELECT stored, rejected FROM loyalty.take_intake()
