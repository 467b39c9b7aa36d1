"""The peers that the sandbox is compared with."""
