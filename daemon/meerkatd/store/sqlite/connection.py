"""One realm's database file: opening, checking, migrating, checkpoints, closing. Synchronous; the worker's
thread owns it.

`locking_mode=EXCLUSIVE` because one process owns a realm: no second program can write these files while they
are open (the SQLite of some systems can corrupt a WAL that it shares), there is no `-shm` file (a mapping that
would raise SIGBUS on a full disk), and one descriptor less per realm.

`wal_autocheckpoint=0`: an automatic checkpoint runs inside COMMIT, so its errors look like errors of a commit
that did in fact happen, and its time is paid by whoever waits for that reply. `fold_if_due` does it between
batches instead.

A WAL file that is not empty before opening says that the last owner did not close: that is the cheap mark of
an unclean stop. It is always there when there is something to recover, and costs no write of its own.
"""

import errno
import logging
import os
import sys

import apsw

from meerkat_client.wire.version import VERSION

from ...errors import MeerkatError, RealmDamaged, RealmNotFound, RealmTooNew, StorageFailed, StorageFull
from .faults import storage_fault
from .schema import APPLICATION_ID, FORMAT_VERSION, MIGRATIONS

_log = logging.getLogger(__name__)

DATABASE_NAME = "sessions.sqlite3"

# WAL pages (4 KiB each) after which the log is folded into the database: keeps it near 4 MB, and recovery short.
FOLD_PAGES = 1000
# A program that reads a copy or a backup may hold a lock for a moment; longer than this is an error.
BUSY_MS = 5000
# quick_check reads every page: measured 0.4 s for this much on a busy machine. Larger files get their small
# tables checked only, so that opening after a crash stays under a second whatever the size.
FULL_CHECK_BYTES = 100 * 1024 * 1024
SMALL_TABLES = ("meta", "sessions", "session_labels", "keys")

PRAGMAS: tuple[tuple[str, str | int], ...] = (
    ("journal_mode", "WAL"),
    ("synchronous", "FULL"),
    ("foreign_keys", "ON"),
    ("wal_autocheckpoint", 0),
    ("cache_size", -512),  # KiB. Measured: 1.3 MB less per scanned realm than the default, same page latency.
    ("journal_size_limit", 16 * 1024 * 1024),
    ("temp_store", "MEMORY"),
    ("trusted_schema", "OFF"),
    ("mmap_size", 0),
    # No effect but on macOS, where fsync alone does not flush the drive's cache.
    *((("fullfsync", "ON"), ("checkpoint_fullfsync", "ON")) if sys.platform == "darwin" else ()),
)


class Database:
    """The file and, while it is open, its connection.

    Args:
        folder: the realm's.
        create: make it when there is none.
        vfs: SQLite VFS to use; None is the system's.
        bulk: sync nothing.

    All methods may raise the errors of the storage port. `connection` opens when needed, so after `poison` the
    next use starts from what the disk has.
    """

    def __init__(self, folder: str, *, create: bool, vfs: str | None = None, bulk: bool = False) -> None:
        self.path = os.path.join(folder, DATABASE_NAME)
        self._create = create
        self._vfs = vfs
        self._bulk = bulk
        self._connection: apsw.Connection | None = None
        self._poisoned = False
        self._identity: tuple[int, int] | None = None
        self._wal_pages = 0
        self._fold_at = FOLD_PAGES

    @property
    def connection(self) -> apsw.Connection:
        if self._connection is None:
            try:
                self._connection = self._open()
            except apsw.Error as error:
                fault = storage_fault(error, self.path)
                if fault is None:
                    raise
                raise fault from error
            except OSError as error:
                raise _os_fault(error, self.path) from error
            self._create = False
        return self._connection

    def check_name(self) -> None:
        """Refuse to write to a file whose name is gone or leads to another file, such as a restored copy: what goes
        there is lost with our descriptor. What it holds can still be read.

        Raises:
            StorageFailed: it is so.
        """
        if self._identity is None or _identity(self.path) == self._identity:
            return
        raise StorageFailed(
            f"The database {self.path} was removed or replaced while it was open.",
            details={"path": self.path},
            hint="Put it back, or go on with what is there now by `rkat daemon restart`.",
        )

    def poison(self) -> None:
        """Let go of a connection whose COMMIT failed: its picture of the database is no longer to be trusted."""
        self._poisoned = True
        self.close()

    def close(self) -> None:
        """Fold the log and release the files. What cannot be folded stays in the log, for the next opening."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.close(force=True)
        except Exception as error:
            _log.warning("cannot fold the log of %s while closing: %s", self.path, type(error).__name__)

    def fold(self) -> None:
        """Fold the log into the database and empty it; give memory back."""
        self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self.connection.pragma("shrink_memory")
        self._wal_pages = 0
        self._fold_at = FOLD_PAGES

    def fold_if_due(self) -> None:
        """Fold the log when it has grown. A failure harms nothing, for the log keeps all; we try again later."""
        if self._connection is None or self._wal_pages < self._fold_at:
            return
        self._fold_at = self._wal_pages + FOLD_PAGES
        try:
            frames, folded = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except Exception as error:
            _log.warning("cannot fold the log of %s: %s", self.path, type(error).__name__)
            return
        if frames == folded:
            self._fold_at = FOLD_PAGES

    # -- opening ---------------------------------------------------------------------------------------------

    def _open(self) -> apsw.Connection:
        unclean = self._prepare_file()
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW
        # NOFOLLOW refuses a link anywhere in the path; those above the file are the user's business.
        path = os.path.join(os.path.realpath(os.path.dirname(self.path)), DATABASE_NAME)
        connection = apsw.Connection(path, flags=flags, vfs=self._vfs)
        try:
            self._configure(connection, unclean=unclean)
        except BaseException:
            connection.close(force=True)
            raise
        self._identity = _identity(self.path)
        return connection

    def _prepare_file(self) -> bool:
        """Make the file if it is to be made; whether the last owner stopped uncleanly."""
        try:
            os.stat(self.path)
        except FileNotFoundError:
            if not self._create:
                raise RealmNotFound(f"There is no database at {self.path}.", details={"path": self.path}) from None
            _create_file(self.path)
        try:
            return os.stat(f"{self.path}-wal").st_size > 0
        except FileNotFoundError:
            return False

    def _configure(self, connection: apsw.Connection, *, unclean: bool) -> None:
        connection.set_busy_timeout(BUSY_MS)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
        connection.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)
        connection.pragma("locking_mode", "EXCLUSIVE")
        version = self._checked_version(connection)
        for name, value in PRAGMAS:
            connection.pragma(name, value)
        if self._bulk:
            connection.pragma("synchronous", "OFF")
        if unclean:
            self._check(connection)
        if self._poisoned:
            # The failed commit may be back. Its pages may be in memory only: the kernel reports a failed fsync
            # once and then takes them for clean. Folding writes and syncs them anew, so what is read from here
            # on is durable.
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._poisoned = False
        if version < FORMAT_VERSION:
            _migrate(connection, version)
        self._wal_pages = 0
        self._fold_at = FOLD_PAGES
        connection.set_wal_hook(self._count_wal)

    def _checked_version(self, connection: apsw.Connection) -> int:
        """The file's format version; 0 for one that is still empty."""
        owner = int(connection.pragma("application_id"))
        version = int(connection.pragma("user_version"))
        if owner == 0 and version == 0 and connection.pragma("schema_version") == 0:
            return 0
        if owner != APPLICATION_ID:
            raise RealmDamaged(f"The file {self.path} is a database of another program.", details={"path": self.path})
        if version <= FORMAT_VERSION:
            return version
        written_by = connection.execute("SELECT value FROM meta WHERE name = 'written_by'").get
        raise RealmTooNew(
            f"The realm's database was written by meerkatd {written_by}, which is newer than this one.",
            details={"written_by": written_by, "format": version, "supported": FORMAT_VERSION},
        )

    def _check(self, connection: apsw.Connection) -> None:
        tables = SMALL_TABLES if os.stat(self.path).st_size > FULL_CHECK_BYTES else ("1",)
        for table in tables:
            if connection.execute(f"PRAGMA quick_check({table})").get != "ok":
                raise RealmDamaged(f"The database {self.path} is damaged.", details={"path": self.path})

    def _count_wal(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK


def _identity(path: str) -> tuple[int, int] | None:
    """Device and number of the file behind a name; None when there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _create_file(path: str) -> None:
    """An empty file that only we can read, its name on the disk. SQLite gives its other files the same mode."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _os_fault(error: OSError, path: str) -> MeerkatError:
    details = {"path": path, "errno": errno.errorcode.get(error.errno or 0, "")}
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"The disk that holds {path} is full.", details=details)
    return StorageFailed(f"The file system refused to open {path}.", details=details)


def _migrate(connection: apsw.Connection, version: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for script in MIGRATIONS[version:]:
        connection.execute(script)
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('written_by', ?)", (VERSION,))
    connection.pragma("application_id", APPLICATION_ID)
    connection.pragma("user_version", FORMAT_VERSION)
    connection.execute("COMMIT")
