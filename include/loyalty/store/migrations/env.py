"""Runs the migrations on the connection that store.schema hands over."""

from alembic import context

from loyalty.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_schemas=True,
    version_table="schema_version",
    version_table_schema="loyalty",
)
with context.begin_transaction():
    context.run_migrations()
