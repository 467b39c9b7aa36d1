"""Packages and layers: checks zips, keeps them on disk, unpacks them."""
