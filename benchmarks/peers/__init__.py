"""What the sandbox is measured against."""
