"""Which instances there are, and which event goes to which: admission, reuse, eviction."""
