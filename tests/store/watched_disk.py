"""A disk of the JSON lines backend that tells of each change of a file before it happens. The I/O is the system's."""

import os
from collections.abc import Callable
from typing import BinaryIO, Literal, NamedTuple

from meerkatd.store.disk import Disk

Kind = Literal["create", "open", "write", "truncate", "sync", "rename", "remove", "sync_folder", "read"]


class DiskOperation(NamedTuple):
    """One operation. `number` is the offset of a write or the new size; `data` what is written; `new` the new name."""

    kind: Kind
    path: str
    number: int = 0
    data: bytes = b""
    new: str = ""


Watcher = Callable[[DiskOperation], None]


class WatchedDisk(Disk):
    """What the watcher raises, the store sees, and the operation does not happen."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._paths: dict[int, str] = {}

    def create(self, path: str) -> int:
        self._watcher(DiskOperation("create", path))
        return self._known(super().create(path), path)

    def open(self, path: str) -> int:
        self._watcher(DiskOperation("open", path))
        return self._known(super().open(path), path)

    def reader(self, path: str) -> BinaryIO:
        self._watcher(DiskOperation("read", path))
        return super().reader(path)

    def read(self, fd: int, length: int, offset: int) -> bytes:
        self._watcher(DiskOperation("read", self._paths[fd], offset))
        return super().read(fd, length, offset)

    def append(self, fd: int, data: bytes) -> None:
        self._watcher(DiskOperation("write", self._paths[fd], os.fstat(fd).st_size, data))
        super().append(fd, data)

    def truncate(self, fd: int, size: int) -> None:
        self._watcher(DiskOperation("truncate", self._paths[fd], size))
        super().truncate(fd, size)

    def sync(self, fd: int) -> None:
        self._watcher(DiskOperation("sync", self._paths[fd]))

    def rename(self, old: str, new: str) -> None:
        self._watcher(DiskOperation("rename", old, new=new))
        super().rename(old, new)

    def remove(self, path: str) -> None:
        self._watcher(DiskOperation("remove", path))
        super().remove(path)

    def sync_folder(self, path: str) -> None:
        self._watcher(DiskOperation("sync_folder", path))

    def _known(self, fd: int, path: str) -> int:
        self._paths[fd] = path
        return fd


def unwatched(_operation: DiskOperation) -> None:
    """For tests that only want the files to be there, without waiting for syncs."""
