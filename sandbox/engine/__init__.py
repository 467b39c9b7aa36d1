"""Where instances run: a container engine, or plain processes."""
