-- Alike, but without a name: each is an event of its own, the nth of its kind in this file.
UPDATE import_event AS e SET key = md5(e.key::text || twin.n)::uuid
FROM import_twin AS twin WHERE twin.row_number = e.row_number AND e.event_id IS NULL
