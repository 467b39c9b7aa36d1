"""Alembic's entry point. The caller passes a connection with an open transaction."""

from __future__ import annotations

from alembic import context

from sandbox.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
