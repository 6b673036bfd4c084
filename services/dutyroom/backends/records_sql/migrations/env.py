"""How Alembic reaches the database: by the connection and transaction that it is handed."""

from alembic import context

from dutyroom.backends.records_sql.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
