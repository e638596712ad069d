"""A realm as files that people read: one log of JSON lines per session. Begin reading at `record.py`."""

from .backend import JsonlBackend

__all__ = ["JsonlBackend"]
