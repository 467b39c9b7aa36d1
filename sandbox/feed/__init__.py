"""The feed: what happens in the sandbox, told once, to whoever listens."""

from sandbox.feed.feed import AT_ONCE, Batch, Feed, Filter, Subscription
from sandbox.feed.recorder import Recorder

__all__ = ["AT_ONCE", "Batch", "Feed", "Filter", "Recorder", "Subscription"]
