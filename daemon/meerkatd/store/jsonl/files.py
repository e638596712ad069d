"""One realm's files while it is open, and reading single lines out of them."""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from ..disk import Disk
from ..file_faults import damaged
from . import snapshot
from .catalog import Catalog, Session
from .layout import INDEX
from .offsets import Offsets
from .record import is_sealed
from .scan import Scan

# Sessions whose offsets are kept. A session in use has a few hundred lines; one of a million messages takes 8 MB.
LOADED_SESSIONS = 64
# Most lines fit, and a page of 50 messages of 500 bytes takes one read.
FIRST_READ_BYTES = 32 * 1024


class RealmFiles:
    """Args:
    folder: the realm's.
    disk: where files are.
    catalog: what is in them.
    lock: descriptor that holds the lock; closed with the realm.
    """

    def __init__(self, folder: str, *, disk: Disk, catalog: Catalog, lock: int) -> None:
        self.folder = folder
        self.disk = disk
        self.catalog = catalog
        self._lock = lock
        self._loaded: OrderedDict[str, Session] = OrderedDict()

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def offsets(self, session: Session) -> Offsets:
        """Where a session's lines are; reads its file through when it was not in use lately.

        Raises:
            RealmDamaged: the file is not what was written.
            OSError: it cannot be read.
        """
        if session.offsets is None:
            session.offsets = self._load(session)
        self._loaded[session.session_id] = session
        self._loaded.move_to_end(session.session_id)
        if len(self._loaded) > LOADED_SESSIONS:
            self._loaded.popitem(last=False)[1].offsets = None
        return session.offsets

    def _load(self, session: Session) -> Offsets:
        offsets = Offsets()
        path = self.path(session.name)
        with self.disk.reader(path) as file:
            scan = Scan(path, file, synced=session.size)
            for messages, lines in scan.transactions():
                offsets.messages.extend(messages)
                for line in lines:
                    offsets.apply(line.kind, line.ordinal, line.offset)
        if (scan.size, scan.crc) != (session.size, session.crc):
            raise damaged(path, "was changed by another program")
        return offsets

    @contextmanager
    def window(self, session: Session) -> Iterator["Window"]:
        """For reading lines of a session. Raises OSError."""
        path = self.path(session.name)
        fd = self.disk.open(path)
        try:
            yield Window(self.disk, path, fd)
        finally:
            os.close(fd)

    def tidy(self) -> None:
        """Give back memory, and write the index. Raises OSError."""
        for session in self._loaded.values():
            session.offsets = None
        self._loaded.clear()
        self.keep_index()

    def keep_index(self) -> None:
        """Write the index when enough has changed since. Raises OSError."""
        if not snapshot.is_worth_writing(self.catalog):
            return
        changed = [session for session in self.catalog.sessions.values() if session.indexed_ns is None]
        try:
            for session in changed:
                session.indexed_ns = os.stat(self.path(session.name)).st_mtime_ns
            snapshot.write(self.disk, self.path(INDEX), self.catalog)
        except OSError:
            for session in changed:
                session.indexed_ns = None
            raise

    def close(self) -> None:
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)


class Window:
    """Reads lines of one file, nearby ones together."""

    def __init__(self, disk: Disk, path: str, fd: int) -> None:
        self._disk = disk
        self._path = path
        self._fd = fd
        self._start = 0
        self._data = b""

    def line(self, offset: int) -> bytes:
        """Raises RealmDamaged when there is no whole line, OSError when it cannot be read."""
        length = FIRST_READ_BYTES
        while (end := self._data.find(b"\n", max(0, offset - self._start)) + 1) == 0 or offset < self._start:
            data = self._disk.read(self._fd, length, offset)
            if self._start == offset and len(data) == len(self._data):
                raise damaged(self._path, "ends in the middle of a line")
            self._start, self._data = offset, data
            length *= 4
        line = self._data[offset - self._start : end]
        if not is_sealed(line):
            raise damaged(self._path, "is damaged")
        return line
