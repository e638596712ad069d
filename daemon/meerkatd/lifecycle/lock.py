"""One daemon per state root: two locks that are held for the daemon's life and never unlinked.

The locks are flock's and die with the process, however that ends; bind() alone is no lock (measured: with connect,
unlink, bind 4 of 10 races left a daemon that listened on a name that was gone). One is on the state root itself, the
other on `meerkatd.lock` in it. A file can be deleted by a tidy hand, and the next daemon would lock another one; the
directory goes only together with all data. What is written into the file is for people and for clients whose runtime
directory differs: it names the socket. `create_time` tells the writer from a later process with the same pid.
"""

import errno
import fcntl
import json
import os
import time
from typing import Any

import psutil

from meerkat_client.wire.paths import UNWRITABLE, Places, open_directory
from meerkat_client.wire.version import PROTOCOL_MAX, PROTOCOL_MIN, VERSION

# EX_TEMPFAIL of sysexits.h: somebody else is at it, and the caller may find them there.
EXIT_BUSY = 75
_MAX_RECORD = 4096
_NO_DIRECTORY_LOCKS = frozenset((errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP))
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class AlreadyRunning(Exception):
    """Another process holds a lock. `owner` is its record, as far as that could be read."""

    def __init__(self, owner: dict[str, Any]) -> None:
        super().__init__(f"another meerkatd (pid {owner.get('pid', 'unknown')}) owns this state root")
        self.owner = owner


class InstanceLock:
    """The held locks. `close` gives them up; so does the end of the process.

    Attributes:
        after_crash: the last owner ended without giving up its lock: by a crash, a kill, or with the machine.
    """

    def __init__(self, places: Places, directory: int, fd: int, *, after_crash: bool = False) -> None:
        self._places = places
        self._directory = directory
        self._fd = fd
        self.after_crash = after_crash

    def is_whole(self) -> bool:
        """Whether the lock file is still the one that is held."""
        held = os.fstat(self._fd)
        try:
            found = os.lstat(self._places.lock_path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)

    def mend(self) -> None:
        """Make the lock file again that was deleted or replaced. The lock on the directory has been held all along.

        Raises:
            AlreadyRunning: an older program, which knows the file only, took the new one.
            PathRefused, OSError: it cannot be made.
        """
        fd = _open_file(self._places)
        try:
            _lock(fd, fd)
        except BaseException:
            os.close(fd)
            raise
        old, self._fd = self._fd, fd
        os.close(old)
        self.write_record()

    def hand_over(self) -> tuple[int, int]:
        """The descriptors, for the next program of this process; this object holds nothing any more."""
        held = (self._directory, self._fd)
        self._directory = self._fd = -1
        return held

    def write_record(self) -> None:
        record = {
            "pid": os.getpid(),
            "version": VERSION,
            "proto": [PROTOCOL_MIN, PROTOCOL_MAX],
            "started_at": int(time.time()),
            "create_time": psutil.Process().create_time(),
            "socket": self._places.socket_path,
        }
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(record).encode() + b"\n", 0)

    def close(self) -> None:
        directory, fd = self.hand_over()
        if fd >= 0:
            os.ftruncate(fd, 0)
            os.close(fd)
            os.close(directory)

    def __enter__(self) -> "InstanceLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def take_instance_lock(places: Places) -> InstanceLock:
    """Become the daemon of this state root; makes the root when it is missing.

    Raises:
        AlreadyRunning: another process is.
        PathRefused: the state root belongs to someone else, or others may write in it.
        OSError: the file cannot be made.
    """
    directory = open_directory(places.state_root, refuse=UNWRITABLE)
    fd = -1
    try:
        fd = _open_file(places)
        _lock_directory(directory, fd)
        _lock(fd, fd)
        last = os.pread(fd, _MAX_RECORD, 0)
        lock = InstanceLock(places, directory, fd, after_crash=bool(last))
        lock.write_record()
    except BaseException:
        if fd >= 0:
            os.close(fd)
        os.close(directory)
        raise
    return lock


def adopt_instance_lock(places: Places, held: tuple[int, int]) -> InstanceLock:
    """The lock that the earlier program of this process held; locking again what one holds changes nothing.

    Raises:
        AlreadyRunning, OSError: these descriptors hold nothing.
    """
    directory, fd = held
    _lock_directory(directory, fd)
    _lock(fd, fd)
    lock = InstanceLock(places, directory, fd)
    lock.write_record()
    return lock


def _open_file(places: Places) -> int:
    directory = open_directory(places.state_root, refuse=UNWRITABLE)
    try:
        return os.open(os.path.basename(places.lock_path), _FLAGS, 0o600, dir_fd=directory)
    finally:
        os.close(directory)


def _lock(fd: int, record: int) -> None:
    """Lock `fd`, or tell who has it, as the file `record` says."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AlreadyRunning(_parse(os.pread(record, _MAX_RECORD, 0))) from None


def _lock_directory(directory: int, record: int) -> None:
    try:
        _lock(directory, record)
    except OSError as error:
        # A file system may lock files only, as NFS does: there the file alone has to do.
        if error.errno not in _NO_DIRECTORY_LOCKS:
            raise


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        record = json.loads(raw)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def read_owner(places: Places) -> dict[str, Any] | None:
    """The record of the daemon of this state root, when the process that wrote it is alive; else None."""
    try:
        with open(places.lock_path, "rb") as file:
            record = _parse(file.read(_MAX_RECORD))
    except FileNotFoundError:
        return None
    try:
        process = psutil.Process(record.get("pid", -1))
        # A zombie has given up its lock; only its parent has not noticed yet.
        alive = process.status() != psutil.STATUS_ZOMBIE and process.create_time() == record.get("create_time")
    except (psutil.NoSuchProcess, TypeError, ValueError):
        return None
    return record if alive else None
