DROP TABLE pg_temp.import_row, pg_temp.import_event, pg_temp.import_twin, pg_temp.import_profile, pg_temp.import_there
