"""Storage: one port (`api.py`), several backends, found here by name.

A backend is imported when it is first asked for, so that a daemon whose realms are all `sqlite` never pays for
another backend's driver, and a driver that is not installed hurts only those who want it.
"""

import os
from importlib import import_module

from ..errors import BackendUnavailable
from .api import Backend

DEFAULT = "sqlite"

# name -> module below this package, and the class in it.
_MODULES = {
    "sqlite": (".sqlite", "SqliteBackend"),
    "jsonl": (".jsonl", "JsonlBackend"),
    "memory": (".memory", "MemoryBackend"),
}

# Names that a manifest may carry although no such backend comes with this program, and why.
_ABSENT = {"redb": "The redb backend is not part of this build: there is no Python package of it to install."}

NAMES = (*_MODULES, *_ABSENT)

# The file that every store of a backend has: told by name, so that looking for it loads no driver.
MARKS = {"sqlite": "sessions.sqlite3", "jsonl": "realm.jsonl"}


# Every file or folder of a backend's store that may be in a realm's folder.
FILES = {
    "sqlite": ("sessions.sqlite3", "sessions.sqlite3-wal", "sessions.sqlite3-shm", "sessions.sqlite3-journal"),
    "jsonl": ("realm.jsonl", "sessions", "index.jsonl", "sessions.lock"),
}


def held(folder: str) -> set[str]:
    """The backends of which `folder` holds a store."""
    return {name for name, mark in MARKS.items() if os.path.lexists(os.path.join(folder, mark))}


def backend(name: str) -> Backend:
    """The backend of that name, one of `NAMES`.

    Raises:
        BackendUnavailable: no such backend can be used here; the message says why.
    """
    if name in _ABSENT:
        raise BackendUnavailable(_ABSENT[name], details={"backend": name, "available": list(_MODULES)})
    if name not in _MODULES:
        raise BackendUnavailable(
            f"There is no storage backend called {name!r}.",
            details={"backend": name, "available": list(_MODULES)},
            hint=f"Use one of: {', '.join(_MODULES)}.",
        )
    module, kind = _MODULES[name]
    found: Backend = getattr(import_module(module, __package__), kind)()
    return found
