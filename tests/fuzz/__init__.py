"""Inputs made up by a machine, at every door where strangers' bytes come in. ``scripts/fuzz``."""
