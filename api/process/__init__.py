"""How the process behaves: its port and directory, memory allocator, sleep and log."""
