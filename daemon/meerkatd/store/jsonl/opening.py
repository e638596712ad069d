"""How a realm's files are opened: lock, logs, index, and what a crash left.

Opening reads the realm's log, then the index, then as much of each session's log as the index does not know. A write
that was cut off is copied to a file beside its log and cut away, so that appending goes on behind a whole line.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from meerkat_client.wire.version import VERSION

from ...errors import RealmNotFound, RealmTooNew, StorageFailed
from ..disk import NEW, Disk
from ..file_faults import damaged, storage_fault
from ..lineage import shared
from . import snapshot
from .catalog import Catalog, Log, Session
from .files import RealmFiles
from .layout import ENDING, FOLDER, INDEX, LOCK, REALM_LOG, session_file
from .record import TAIL_BYTES, crc_of, parse, seal, tail
from .rows import FORMAT_VERSION, lineage_of, realm_record, session_row
from .scan import Line, Scan
from .snapshot import Known

# Takes in a record: its kind, its fields, and where in its file it begins.
Take = Callable[[str, Mapping[str, Any], int], object]

_log = logging.getLogger(__name__)

# Enough for a pid.
_HOLDER_BYTES = 64
LOST_HINT = "Restore the file from a backup, or delete index.jsonl to go on with what is left."


def open_realm(folder: str, *, create: bool, disk: Disk) -> RealmFiles:
    """Open the realm in `folder`. Raises as `Backend.open` does."""
    try:
        if not create and not os.path.exists(os.path.join(folder, REALM_LOG)):
            raise RealmNotFound(f"There is no realm in {folder}.", details={"path": folder})
        lock = _take_lock(os.path.join(folder, LOCK))
        try:
            catalog = _Opening(folder, disk).catalog()
        except BaseException:
            os.close(lock)
            raise
    except OSError as error:
        raise storage_fault(error, folder) from error
    return RealmFiles(folder, disk=disk, catalog=catalog, lock=lock)


def _take_lock(path: str) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = os.pread(fd, _HOLDER_BYTES, 0).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        raise StorageFailed(
            f"Another program (pid {holder}) has the realm's files open.", details={"path": path, "holder": holder}
        ) from None
    except OSError:
        os.close(fd)
        raise
    return fd


class _Opening:
    def __init__(self, folder: str, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self._written_by = "a later version"
        self._format = 0
        self._catalog = Catalog(Log())

    def catalog(self) -> Catalog:
        self._open_realm_log()
        index = snapshot.read(self._disk, self._path(INDEX))
        sessions = [self._open_session(name, stat, index) for name, stat in self._session_files()]
        self._catalog.fill(sessions)
        if index:
            lost = self._path(session_file(next(iter(index))))
            raise damaged(lost, "is gone", hint=LOST_HINT)
        self._check_lineages(sessions)
        return self._catalog

    def _check_lineages(self, sessions: Sequence[Session]) -> None:
        """Whether what forks share is there: without an index, nothing else tells of a source that is gone."""
        for fork in sessions:
            for source_id, end in fork.lineage:
                path = self._path(session_file(source_id))
                source = self._catalog.sessions.get(source_id)
                if source is None:
                    raise damaged(path, f"is gone, and session {fork.session_id} shares its messages")
                if source.row.message_count < end:
                    raise damaged(path, f"lacks messages that session {fork.session_id} shares")

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def _open_realm_log(self) -> None:
        path = self._path(REALM_LOG)
        if not os.path.exists(path):
            self._disk.make_folder(self._path(FOLDER))
            self._disk.put(path, b"".join(seal([realm_record(VERSION)], first=0, synced=0)))
            self._disk.sync_folder(self._folder)
        self._replay(path, self._catalog.realm, self._take_realm_line)
        if not self._catalog.realm.records:
            raise damaged(path, "has no first line")
        if self._format < FORMAT_VERSION:
            self._migrate(path, self._catalog.realm)

    def _migrate(self, path: str, log: Log) -> None:
        """Say that there may be lines of this format from here on, before there are any: older programs take such a
        line for the first one, and refuse the realm as newer than they are."""
        (line,) = seal([realm_record(VERSION)], first=log.records, synced=log.records)
        self._disk.extend(path, line)
        log.size, log.records, log.crc = log.size + len(line), log.records + 1, crc_of(line)

    def _take_realm_line(self, kind: str, fields: Mapping[str, Any], offset: int) -> None:
        if kind == "realm":
            self._written_by = str(fields["written_by"])
            self._format = fields["format"]
            self._check_format(self._format)
        else:
            self._catalog.apply(self._catalog.realm, kind, fields, offset)

    def _check_format(self, version: int) -> None:
        if version > FORMAT_VERSION:
            raise RealmTooNew(
                f"The realm's files were written by meerkatd {self._written_by}, which is newer than this one.",
                details={"written_by": self._written_by, "format": version, "supported": FORMAT_VERSION},
            )

    # -- sessions --------------------------------------------------------------------------------------------------

    def _session_files(self) -> Iterable[tuple[str, os.stat_result]]:
        """Name and state of each session's log. What was never finished is removed."""
        with os.scandir(self._path(FOLDER)) as entries:
            found = list(entries)
        for entry in found:
            if entry.name.endswith(ENDING):
                yield entry.name, entry.stat(follow_symlinks=False)
            elif entry.name.endswith(NEW):
                self._disk.remove(entry.path)

    def _open_session(self, name: str, stat: os.stat_result, index: dict[str, Known]) -> Session:
        """Take what the index knows of a session, which is removed from it, and read the rest."""
        session_id = name.removesuffix(ENDING)
        known = index.pop(session_id, None)
        if known is None:
            return self._read_session(session_id)
        size, path = known.session.size, self._path(known.session.name)
        if size > stat.st_size:
            raise damaged(path, "is shorter than it was", hint=LOST_HINT)
        if size == stat.st_size and known.session.indexed_ns == stat.st_mtime_ns:
            return self._adopt(known)
        if size < stat.st_size and self._ends_there(path, known.session):
            session = self._adopt(known)
            session.indexed_ns = None
            self._replay(path, session, partial(self._catalog.apply, session))
            return session
        return self._read_session(session_id, synced=size)

    def _ends_there(self, path: str, session: Session) -> bool:
        """Whether the file's beginning is the one that the index knows."""
        with self._disk.reader(path) as file:
            file.seek(session.size - TAIL_BYTES)
            return file.read(TAIL_BYTES) == tail(session.crc)

    def _adopt(self, known: Known) -> Session:
        session = known.session
        for ordinal, turn_id in enumerate(known.turns):
            self._catalog.turns[turn_id] = (session.session_id, ordinal)
        for held in known.keys:
            self._catalog.hold_key(held)
        self._catalog.approvals.update(known.approvals)
        return session

    def _read_session(self, session_id: str, *, synced: int = 0) -> Session:
        path = self._path(session_file(session_id))
        log = Log()
        session: list[Session] = []

        def take(kind: str, fields: Mapping[str, Any], offset: int) -> None:
            if kind == "session":
                self._check_format(fields["format"])
                if session or fields["session_id"] != session_id:
                    raise ValueError("the session is another one")
                lineage = lineage_of(fields)
                session.append(Session(row=session_row(fields, message_count=shared(lineage)), lineage=lineage))
            else:
                self._catalog.apply(session[0], kind, fields, offset)

        self._replay(path, log, take, synced=synced)
        if not session:
            raise damaged(path, "has no first line")
        session[0].size, session[0].records, session[0].crc = log.size, log.records, log.crc
        return session[0]

    # -- logs ------------------------------------------------------------------------------------------------------

    def _replay(self, path: str, log: Log, take: Take, *, synced: int = 0) -> None:
        """Give every committed record but messages to `take`, then cut off what was not committed."""
        with self._disk.reader(path) as file:
            scan = Scan(path, file, size=log.size, records=log.records, crc=log.crc, synced=synced)
            for transaction in scan.transactions():
                for line in transaction.lines:
                    _take(path, line, take)
            log.size, log.records, log.crc = scan.size, scan.records, scan.crc
            torn = os.fstat(file.fileno()).st_size > log.size
        if torn and log.records:
            self._cut_off(path, log.size)

    def _cut_off(self, path: str, size: int) -> None:
        copy = f"{path}.torn-{time.time_ns()}"
        with self._disk.reader(path) as file:
            file.seek(size)
            rest = file.read()
        self._disk.put(copy, rest)
        self._disk.cut(path, size)
        _log.warning("An unfinished write of %d bytes was cut off %s; it is kept as %s.", len(rest), path, copy)


def _take(path: str, line: Line, take: Take) -> None:
    try:
        take(line.kind, parse(line.raw), line.offset)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        # Sealed and numbered, and yet not what this program writes: the line was made by hand.
        raise damaged(path, f"says something impossible at byte {line.offset}") from error
