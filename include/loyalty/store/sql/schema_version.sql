-- The version of the schema, as the last migration left it.
SELECT version_num FROM loyalty.schema_version
