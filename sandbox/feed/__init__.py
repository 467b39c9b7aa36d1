"""The feed: what happens in the sandbox, told once, to whoever listens."""

from sandbox.feed.feed import AT_ONCE, Batch, Feed, Filter, Subscription

__all__ = ["AT_ONCE", "Batch", "Feed", "Filter", "Subscription"]
