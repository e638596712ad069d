"""Every change of a file goes through here, so that tests can put a failing disk in its place. Synchronous.

Files are opened for one use each. That takes some 10 us, which a sync makes up for many times; in return a realm holds
no descriptor but its lock, however many sessions are in use, and no write ever meets a descriptor that has seen an
error.

`F_FULLFSYNC` on macOS, where fsync hands the data to the drive and does not wait for it. Elsewhere fdatasync: it
writes the size along with the data, and that is all that an append changes.
"""

import fcntl
import os
import sys
from typing import BinaryIO

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
_READ_BUFFER = 1 << 20


class Disk:
    """The system's files. Every method may raise OSError."""

    def create(self, path: str) -> int:
        """A new, empty file for us alone; one that is in the way is replaced."""
        return os.open(path, _FLAGS | os.O_CREAT | os.O_TRUNC, 0o600)

    def open(self, path: str) -> int:
        return os.open(path, _FLAGS)

    def reader(self, path: str) -> BinaryIO:
        """For reading a file through, line by line."""
        return open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb", buffering=_READ_BUFFER)

    def read(self, fd: int, length: int, offset: int) -> bytes:
        return os.pread(fd, length, offset)

    def append(self, fd: int, data: bytes) -> None:
        """One write as a rule; a short one is followed by another, which says what is the matter."""
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        if sys.platform == "darwin":
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(fd)

    def extend(self, path: str, data: bytes) -> None:
        """Append to a file and sync it."""
        fd = self.open(path)
        try:
            self.append(fd, data)
            self.sync(fd)
        finally:
            os.close(fd)

    def cut(self, path: str, size: int) -> None:
        """Cut a file to `size` and sync that, on a descriptor that has not seen an error yet."""
        fd = self.open(path)
        try:
            self.truncate(fd, size)
            self.sync(fd)
        finally:
            os.close(fd)

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new)

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return

    def make_folder(self, path: str) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)

    def sync_folder(self, path: str) -> None:
        """Make the names in a folder durable."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def put(self, path: str, data: bytes) -> None:
        """A whole file that is there under its name or not at all, before its name is made durable."""
        fresh = path + NEW
        fd = self.create(fresh)
        try:
            self.append(fd, data)
            self.sync(fd)
        finally:
            os.close(fd)
        self.rename(fresh, path)


class UnsyncedDisk(Disk):
    """For filling a store that nobody uses yet; who fills it syncs it when it is full."""

    def sync(self, fd: int) -> None:
        """Nothing yet."""

    def sync_folder(self, path: str) -> None:
        """Nothing yet."""


# Ending of a file that is being written; after a crash it is rubbish.
NEW = ".new"
