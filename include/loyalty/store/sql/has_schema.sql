-- Whether there is a schema whose version can be asked for.
SELECT to_regclass('loyalty.schema_version') IS NOT NULL
