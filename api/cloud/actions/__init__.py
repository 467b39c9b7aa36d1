"""What an action of the cloud API does: one module a theme, found by name."""
