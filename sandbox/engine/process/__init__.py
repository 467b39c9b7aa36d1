"""Instances as plain processes of this machine, where no container engine can run."""
