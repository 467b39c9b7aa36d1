"""The first tables: functions, invocations, log chunks, facts about the installation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "functions",
        sa.Column("namespace", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("function_id", sa.Text, nullable=False),
        sa.Column("modified_at", sa.Double, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "invocations",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("function_name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("qualifier", sa.Text, nullable=False),
        sa.Column("invocation_type", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double, nullable=False),
        sa.Column("status_code", sa.Integer, nullable=False),
        sa.Column("ret_msg", sa.Text, nullable=False),
        sa.Column("duration_ms", sa.Double, nullable=False),
        sa.Column("bill_ms", sa.BigInteger, nullable=False),
        sa.Column("memory_mb", sa.Integer, nullable=False),
        sa.Column("mem_usage", sa.BigInteger, nullable=False),
        sa.Column("cold_start", sa.Boolean, nullable=False),
        sa.Column("init_ms", sa.Double, nullable=False),
        sa.Column("retry_num", sa.Integer, nullable=False),
        sa.Column("instance_id", sa.Text, nullable=False),
        sa.Column("timeline", sa.Text, nullable=False),
    )
    op.create_index(
        "ix_invocations_function",
        "invocations",
        ["namespace", "function_name", "started_at", "request_id", "status_code"],
    )
    op.create_index(
        "ix_invocations_started", "invocations", ["started_at", "request_id", "namespace"]
    )
    op.create_table(
        "log_chunks",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("instance_id", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first_ts", sa.Double, nullable=False),
        sa.Column("lines", sa.Text, nullable=False),
    )
    op.create_index("ix_log_chunks_first_ts", "log_chunks", ["first_ts"])
    op.create_table(
        "meta",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop them, with all that is in them."""
    for table in ("meta", "log_chunks", "invocations", "functions"):
        op.drop_table(table)
