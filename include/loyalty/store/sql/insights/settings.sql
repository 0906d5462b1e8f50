SELECT settings FROM loyalty.program
