"""What calls a function by itself: the kinds of triggers, and where their events come from."""
