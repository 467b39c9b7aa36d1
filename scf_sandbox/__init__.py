"""What a user of the sandbox installs. It imports nothing of the server's."""
