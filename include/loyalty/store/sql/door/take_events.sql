SELECT row_number, outcome, event_id, code, reason, detail
FROM loyalty.take_events(:token, CAST(:numbers AS bigint[]), CAST(:faults AS text[]), CAST(:customers AS text[]), CAST(:actions AS text[]),
    CAST(:times AS timestamp[]), CAST(:ids AS text[]), CAST(:salts AS text[]), CAST(:sources AS text[]), CAST(:bodies AS text[]),
    CAST(:taken AS text[]))
