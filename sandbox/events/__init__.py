"""Asynchronous invocations: the durable queue, retries, dead letters, the states of events."""
