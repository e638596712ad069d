"""A SQLite VFS that tells of each operation on a file before it happens, so that a test may refuse it.

The operations themselves are the system's, but for the sync: the machine stays up, so a test would only wait for it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import apsw

Kind = Literal["open", "write", "sync", "truncate", "delete", "read"]


class Operation(NamedTuple):
    """One operation on one file. `data` is what is written; `number` the offset or the new size."""

    kind: Kind
    path: str
    number: int = 0
    data: bytes = b""


Watcher = Callable[[Operation], None]


class _File(apsw.VFSFile):
    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int], watcher: Watcher) -> None:
        super().__init__("", name, flags)
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._watcher = watcher

    def excepthook(self, *_: Any) -> bool:
        """What SQLite cannot report to its caller it swallows; tests look at the outcome, not at the report."""
        return True

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._watcher(Operation("read", self._path, offset))
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._watcher(Operation("write", self._path, offset, bytes(data)))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._watcher(Operation("sync", self._path))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._watcher(Operation("truncate", self._path, newsize))
        super().xTruncate(newsize)


class _Vfs(apsw.VFS):
    def __init__(self, name: str, watcher: Watcher) -> None:
        super().__init__(name, "")
        self._watcher = watcher

    def excepthook(self, *_: Any) -> bool:
        """What SQLite cannot report to its caller it swallows; tests look at the outcome, not at the report."""
        return True

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        self._watcher(Operation("open", str(name)))
        return _File(name, flags, self._watcher)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self._watcher(Operation("delete", filename))
        super().xDelete(filename, syncdir)


def unwatched(_operation: Operation) -> None:
    """A watcher for those who only want a file system without waiting."""


@contextmanager
def watched_vfs(watcher: Watcher, name: str = "watched") -> Iterator[str]:
    """The name of a VFS that calls `watcher` before each operation. What the watcher raises, SQLite sees."""
    vfs = _Vfs(name, watcher)
    try:
        yield name
    finally:
        vfs.unregister()
