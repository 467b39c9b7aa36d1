"""The feed: publishes what happens in the sandbox to its listeners."""

from sandbox.feed.feed import AT_ONCE, Batch, Feed, Filter, Subscription
from sandbox.feed.recorder import Recorder

__all__ = ["AT_ONCE", "Batch", "Feed", "Filter", "Recorder", "Subscription"]
