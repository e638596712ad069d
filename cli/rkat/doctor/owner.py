"""Who owns the state root: the lock, the socket, and whether they are of one living daemon.

flock tells nobody who holds a lock, and trying to take it could make a daemon that starts at this moment give way. So
the kernel's table of locks is read, where there is one; elsewhere the lock's own record and the socket have to do.
"""

import os
import stat
from collections.abc import Iterator

from meerkat_client._dial import daemon_record
from meerkat_client.errors import RkatError
from meerkat_client.wire.paths import Places
from meerkat_client.wire.peer import peer_credentials

from .finding import Finding, from_error, warning, well, wrong


def owner(places: Places) -> Iterator[Finding]:
    """Findings about lock and socket. Starts nothing."""
    server = _server(places)
    if isinstance(server, RkatError):
        yield from_error("socket", places.socket_path, server)
        return
    yield from _socket(places, server)
    yield from _lock(places, server)
    if server is None:
        yield from _last_words(places)


def _server(places: Places) -> int | RkatError | None:
    """The pid of whoever serves the socket; None when nobody does."""
    from meerkat_client._dial import connect

    try:
        with connect(state_root=places.state_root, start=False) as sock:
            return peer_credentials(sock).pid or 0
    except RkatError as error:
        return None if error.code == "DAEMON_UNAVAILABLE" else error


def _socket(places: Places, server: int | None) -> Iterator[Finding]:
    path = places.socket_path
    try:
        found = os.lstat(path)
    except OSError:
        if server is None:
            yield well("socket", path, "is not there; the next command that needs a daemon starts one")
        else:
            yield warning(
                "socket",
                path,
                f"is not there, though the daemon (pid {server}) runs: it is reached through its record",
                mend="Nothing: within 30 seconds the daemon makes it again. `rkat daemon restart` does so at once.",
            )
        return
    if not stat.S_ISSOCK(found.st_mode):
        yield wrong(
            "socket", path, "is no socket", code="DAEMON_UNAVAILABLE", mend=f"Move it away: mv {path} {path}.old"
        )
    elif server is None:
        yield warning(
            "socket",
            path,
            "is left over from a daemon that did not end by itself: nobody listens",
            mend="Nothing: the next start replaces it. `rkat daemon start` does so now.",
        )
    elif stat.S_IMODE(found.st_mode) & 0o077:
        yield warning(
            "socket",
            path,
            f"has mode {stat.S_IMODE(found.st_mode):04o}; only its directory keeps others out",
            mend=f"chmod 600 {path}",
        )
    else:
        yield well("socket", path, f"inode {found.st_ino}, served by pid {server}")


def _lock(places: Places, server: int | None) -> Iterator[Finding]:
    path = places.lock_path
    try:
        found = os.stat(path)
    except OSError:
        if server is None:
            yield well("lock", path, "is not there; the daemon makes it")
        else:
            yield wrong(
                "lock",
                path,
                f"was deleted while the daemon (pid {server}) runs: a second one could start beside it",
                code="DAEMON_UNAVAILABLE",
                mend="Restart the daemon: rkat daemon restart",
            )
        return
    holder = lock_holder(found.st_ino)
    record = daemon_record(places.state_root) or {}
    if holder is None:
        yield well("lock", path, "is free" if server is None else f"its record names pid {record.get('pid', 'nobody')}")
    elif server is None:
        yield wrong(
            "lock",
            path,
            f"is held by pid {holder}{_program(holder)}, which serves no socket: no daemon can start",
            code="DAEMON_UNAVAILABLE",
            mend=f"End that process: kill {holder}",
        )
    elif server and holder != server:
        yield wrong(
            "lock",
            path,
            f"is held by pid {holder}{_program(holder)}, and the socket is served by pid {server}",
            code="DAEMON_UNAVAILABLE",
            mend=f"End both, the next command starts one daemon: kill {holder} {server}",
        )
    else:
        yield well("lock", path, f"is held by pid {holder}")


def lock_holder(inode: int, *, table: str = "/proc/locks") -> int | None:
    """The process that holds an exclusive flock on a file; None when nobody does, or when there is no such table."""
    try:
        with open(table, encoding="ascii", errors="replace") as file:
            rows = [line.split() for line in file]
    except OSError:
        return None
    for row in rows:
        if len(row) >= 6 and row[1:4] == ["FLOCK", "ADVISORY", "WRITE"] and row[5].endswith(f":{inode}"):
            return int(row[4])
    return None


def _program(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return f" ({file.read().strip()})"
    except OSError:
        return ""


def _last_words(places: Places) -> Iterator[Finding]:
    try:
        with open(places.stderr_path, encoding="utf-8", errors="replace") as file:
            words = file.read(4000).strip()
    except OSError:
        return
    if words:
        yield warning(
            "last_start",
            places.stderr_path,
            f"the last daemon that was started said: {words.splitlines()[-1]}",
            mend="If it happens again, `rkat daemon start` shows the whole of it.",
        )
