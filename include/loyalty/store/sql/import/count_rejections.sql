SELECT count(*) FROM import_event WHERE reason IS NOT NULL
