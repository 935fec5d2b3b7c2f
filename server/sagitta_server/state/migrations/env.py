"""Alembic environment: migrations run on the connection that `open_database` hands over.

Each part of the server keeps its own line of revisions (a branch label), so that parts change independently.
"""

from alembic import context

from sagitta_server.state.base import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
