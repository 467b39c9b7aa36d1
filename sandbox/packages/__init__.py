"""Packages and layers: what is in a zip, whether it may be unpacked, where it is kept."""
