"""Realms: the unit of sharing and isolation. Registry, manifest, and what an open realm holds."""
