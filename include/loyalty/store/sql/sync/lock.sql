SELECT watermark FROM loyalty.event_source WHERE source = :source FOR UPDATE
