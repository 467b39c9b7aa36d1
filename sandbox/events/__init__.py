"""Asynchronous invocations: a durable queue, retries, dead letters, the states of events."""
