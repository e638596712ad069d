"""One daemon per state root: a lock file that is held for the daemon's life and never unlinked.

The lock is flock's and dies with the process, however that ends; bind() alone is no lock (measured: with connect,
unlink, bind 4 of 10 races left a daemon that listened on a name that was gone). What is written into the file is for
people and for clients whose runtime directory differs: it names the socket. `create_time` tells the writer from a
later process with the same pid.
"""

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


class AlreadyRunning(Exception):
    """Another process holds the lock. `owner` is its record, as far as that could be read."""

    def __init__(self, owner: dict[str, Any]) -> None:
        super().__init__(f"another meerkatd (pid {owner.get('pid', 'unknown')}) owns this state root")
        self.owner = owner


class InstanceLock:
    """The held lock. `close` gives it up; so does the end of the process."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.ftruncate(fd, 0)
            os.close(fd)

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
    try:
        name = os.path.basename(places.lock_path)
        fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=directory)
    finally:
        os.close(directory)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = _parse(os.pread(fd, _MAX_RECORD, 0))
        os.close(fd)
        raise AlreadyRunning(owner) from None
    _write_record(fd, places)
    return InstanceLock(fd)


def _write_record(fd: int, places: Places) -> None:
    record = {
        "pid": os.getpid(),
        "version": VERSION,
        "proto": [PROTOCOL_MIN, PROTOCOL_MAX],
        "started_at": int(time.time()),
        "create_time": psutil.Process().create_time(),
        "socket": places.socket_path,
    }
    os.ftruncate(fd, 0)
    os.pwrite(fd, json.dumps(record).encode() + b"\n", 0)


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
