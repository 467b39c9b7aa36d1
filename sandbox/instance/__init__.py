"""One instance of a function: its life, its clock, its lines, and what its init says."""
