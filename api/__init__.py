"""Everything that speaks HTTP. Knows no container and no SQL."""
