"""Copying a realm's files while they are in use.

Logs only grow, and what is committed never changes. So the sizes of all logs, taken at one moment, are a copy of that
moment, whenever the bytes are read.
"""

import os
from collections.abc import Sequence

from .files import RealmFiles
from .layout import FOLDER

_CHUNK_BYTES = 1 << 20


def committed(files: RealmFiles) -> Sequence[tuple[str, int]]:
    """Name and committed size of every log."""
    catalog = files.catalog
    return [(log.name, log.size) for log in (catalog.realm, *catalog.sessions.values())]


def copy(source: str, target: str, logs: Sequence[tuple[str, int]]) -> None:
    """Copy the beginnings of some logs. Raises OSError."""
    os.makedirs(os.path.join(target, FOLDER), mode=0o700, exist_ok=True)
    for name, size in logs:
        _copy_file(os.path.join(source, name), os.path.join(target, name), size)


def _copy_file(source: str, target: str, size: int) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    with open(source, "rb") as reader, open(os.open(target, flags, 0o600), "wb") as writer:
        while size > 0 and (data := reader.read(min(size, _CHUNK_BYTES))):
            writer.write(data)
            size -= len(data)
