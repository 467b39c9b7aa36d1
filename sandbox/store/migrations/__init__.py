"""Alembic migrations, run by ``sandbox.store.database.migrate``."""
