"""The tables. A change here needs a migration; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

#: ``data`` is the JSON of the whole ``Function``. The other columns find and order it.
functions = Table(
    "functions",
    metadata,
    Column("namespace", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("function_id", Text, nullable=False),
    Column("modified_at", Double, nullable=False),
    Column("data", Text, nullable=False),
)

#: The fields of ``InvocationRecord`` in their order. ``timeline`` is JSON.
invocations = Table(
    "invocations",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("function_name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("qualifier", Text, nullable=False),
    Column("invocation_type", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double, nullable=False),
    Column("status_code", Integer, nullable=False),
    Column("ret_msg", Text, nullable=False),
    Column("duration_ms", Double, nullable=False),
    Column("bill_ms", BigInteger, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("mem_usage", BigInteger, nullable=False),
    Column("cold_start", Boolean, nullable=False),
    Column("init_ms", Double, nullable=False),
    Column("retry_num", Integer, nullable=False),
    Column("instance_id", Text, nullable=False),
    Column("timeline", Text, nullable=False),
    # Finds a function's records by time without sorting, and counts them without reading rows.
    Index(
        "ix_invocations_function",
        "namespace",
        "function_name",
        "started_at",
        "request_id",
        "status_code",
    ),
    # Finds the latest records of all functions, and the oldest ones to delete.
    Index("ix_invocations_started", "started_at", "request_id", "namespace"),
)

#: By its key a replayed chunk replaces itself. The key also finds the lines of a request. Lines
#: outside any request have an empty ``request_id``. ``lines`` is JSON: [[time, text]...].
log_chunks = Table(
    "log_chunks",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("instance_id", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("first_ts", Double, nullable=False),
    Column("lines", Text, nullable=False),
    Index("ix_log_chunks_first_ts", "first_ts"),
)

#: Facts of the installation.
meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

#: The fields of ``QueuedEvent``: events that are not over. The body is the last column, so that
#: reading the others does not read it.
events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("request_id", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("function_name", Text, nullable=False),
    Column("function_id", Text, nullable=False),
    Column("qualifier", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("invocation_type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("routing_key", Text, nullable=False),
    Column("accepted_at", Double, nullable=False),
    Column("traced", Boolean, nullable=False),
    Column("retry_num", Integer, nullable=False),
    Column("delays", Integer, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("error", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

#: The fields of ``TracedEvent``, in their order.
event_states = Table(
    "event_states",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("function_name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("invoke_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_code", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double, nullable=False),
    Index("ix_event_states_function", "namespace", "function_name", "started_at"),
    Index("ix_event_states_ended", "ended_at"),
)

#: The fields of ``DeadLetter``, in their order.
dead_letters = Table(
    "dead_letters",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("function_name", Text, nullable=False),
    Column("died_at", Double, nullable=False),
    Column("queue_type", Text, nullable=False),
    Column("queue_name", Text, nullable=False),
    Column("dropped", Boolean, nullable=False),
    Column("status_code", Integer, nullable=False),
    Column("error_message", Text, nullable=False),
    Column("message", Text, nullable=False),
    Index("ix_dead_letters_died", "died_at"),
)

#: ``data`` is the JSON of the whole ``Layer`` with its versions.
layers = Table(
    "layers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("data", Text, nullable=False),
)

#: ``data`` is the JSON of the whole ``Namespace``.
namespaces = Table(
    "namespaces",
    metadata,
    Column("name", Text, primary_key=True),
    Column("data", Text, nullable=False),
)
