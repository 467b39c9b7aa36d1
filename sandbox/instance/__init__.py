"""One instance: its container, life cycle, memory and logs, and the session that feeds it."""
