"""Checks of the project's own order."""
