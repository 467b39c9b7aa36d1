"""One module for each revision. A released module never changes."""
