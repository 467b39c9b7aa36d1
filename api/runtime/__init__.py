"""The runtime API that the instances talk to: its own port, the hot path."""
