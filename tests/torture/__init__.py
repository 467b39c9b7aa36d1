"""Bad days, one after the other, on real sandboxes. ``scripts/torture``."""
