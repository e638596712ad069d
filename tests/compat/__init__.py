"""Realms as earlier versions left them on the disk. They must open for ever."""
