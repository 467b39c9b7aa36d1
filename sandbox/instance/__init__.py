"""One running bootstrap: its life cycle, how it is fed, its clock, its logs."""
