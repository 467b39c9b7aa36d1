"""Instances as containers of a Docker engine, on this machine or behind its API."""
