"""Decides which instances there are, and which event goes to which of them."""
