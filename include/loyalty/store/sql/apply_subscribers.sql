-- The subscribers of the program are told of what it says from now on; those that it no longer has, of nothing more.
WITH wanted AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:subscribers AS jsonb)) AS s(name text, actions jsonb)
), gone AS (
    UPDATE loyalty.subscriber SET is_active = false WHERE is_active AND subscriber NOT IN (SELECT name FROM wanted)
)
INSERT INTO loyalty.subscriber (subscriber, actions)
SELECT name, ARRAY(SELECT jsonb_array_elements_text(actions)) FROM wanted
ON CONFLICT (subscriber) DO UPDATE SET actions = excluded.actions, is_active = true
