"""The default backend: one SQLite database per realm, driven through apsw. Begin reading at `worker.py`."""

from .backend import SqliteBackend

__all__ = ["SqliteBackend"]
