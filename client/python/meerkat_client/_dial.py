"""Connect to the daemon, and start one when none runs.

Connect; when nobody listens take `spawn.lock`, connect again, and else start a daemon and wait on its ready pipe. So a
hundred cold clients start one daemon and not a hundred. What decides who the daemon is, though, is the daemon's own
lock in the state root: a start that is told BUSY goes on connecting, to the socket that the lock's record names.

The daemon inherits nothing of its first client but what the list `_KEPT` names: not its pipes, its directory, its
terminal, its signal mask, nor its environment, where provider keys may be. It is started without a shell and without
code between fork and exec, so a client with threads may do it; the detaching fork happens in the daemon's own program.

Where the daemon is installed as a service, its manager starts it, and no client does (see `_service`).

Everything is bounded by one deadline. Modules that only starting needs are imported there.
"""

import errno
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from .errors import RkatError, from_wire
from .wire.faults import WireError
from .wire.paths import PRIVATE, Places, open_directory, places, socket_address
from .wire.peer import peer_credentials

# A cold start takes 0.2 s; a daemon that drains holds the lock for 10 s before a new one can start.
DEFAULT_DEADLINE_SECONDS = 30.0
_POLL_SECONDS = 0.01
# A daemon that leaves says BUSY to each successor until it has left; each try costs 0.2 s of CPU.
_RESPAWN_SECONDS = 0.25
_TAIL_BYTES = 2000

# A daemon that is too old for this client, and restarts with the installed program, lets its turns end first.
UPGRADE_LOOK_SECONDS = 0.25

# The environment of the daemon. Locale and places, how to find programs, how to reach the network, and whom to tell
# what it measures (with all of OpenTelemetry's own variables).
_KEPT = frozenset(
    (
        "HOME", "USER", "LOGNAME", "PATH", "SHELL", "TZ", "LANG", "LANGUAGE", "TMPDIR",
        "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME",
        "MEERKAT_STATE_ROOT", "MEERKAT_RUNTIME_DIR", "MEERKAT_USER_CONFIG", "MEERKAT_MODELS_DIR",
        "MEERKAT_METRICS",
        "MEERKAT_IDLE_SECONDS",
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
        "SSL_CERT_FILE", "SSL_CERT_DIR",
    )
)  # fmt: skip


def daemon_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a daemon that we start gets to see of `environ`."""
    return {name: value for name, value in environ.items() if name in _KEPT or name.startswith(("LC_", "OTEL_"))}


def connect(
    *,
    state_root: str | None = None,
    start: bool = True,
    deadline: float = DEFAULT_DEADLINE_SECONDS,
    _command: Sequence[str] = ("-m", "meerkatd"),
) -> socket.socket:
    """A connected, blocking socket to the daemon of this user and state root.

    Args:
        state_root: None for the one that the environment names.
        start: start a daemon when none runs.
        deadline: seconds for everything together.

    Raises:
        RkatError: DAEMON_UNAVAILABLE, or PERMISSION_DENIED when a file or the peer is not ours.
    """
    until = time.monotonic() + deadline
    try:
        where = places(state_root)
        sock = _try(where)
        if sock is not None:
            return sock
        if not start:
            raise RkatError(
                "DAEMON_UNAVAILABLE",
                f"No daemon runs for {where.state_root}.",
                hint="Any command that needs one starts it; `rkat daemon start` does so explicitly.",
            )
        return _start_and_connect(where, until, _command)
    except WireError as error:
        raise from_wire(error) from error
    except OSError as error:
        code = "PERMISSION_DENIED" if isinstance(error, PermissionError) else "DAEMON_UNAVAILABLE"
        raise RkatError(code, f"The daemon cannot be reached: {error}.") from error


def daemon_record(state_root: str | None = None) -> dict[str, Any] | None:
    """What the daemon of this state root last wrote about itself (pid, version, proto, started_at, create_time,
    socket); None when there is nothing. A record alone does not prove that the daemon lives: connect."""
    return _record(places(state_root))


def _record(where: Places) -> dict[str, Any] | None:
    try:
        with open(where.lock_path, "rb") as file:
            record = json.loads(file.read(4096))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _try(where: Places) -> socket.socket | None:
    """Connect to the place where the socket should be, or to where the daemon's record says that it is."""
    sock = _try_path(where.runtime_dir, where.socket_path)
    if sock is not None:
        return sock
    record = _record(where)
    other = record.get("socket") if record else None
    if isinstance(other, str) and other != where.socket_path and other.startswith("/"):
        return _try_path(os.path.dirname(other), other)
    return None


def _try_path(directory_path: str, path: str) -> socket.socket | None:
    try:
        directory = open_directory(directory_path, refuse=PRIVATE, create=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(socket_address(directory, path))
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(directory)
    return _checked(sock, path)


def _checked(sock: socket.socket, path: str) -> socket.socket | None:
    """The socket, if a process of ours listens; None when that one has just gone."""
    try:
        uid = peer_credentials(sock).uid
    except OSError as error:
        sock.close()
        if error.errno in (errno.ENOTCONN, errno.EINVAL):
            return None
        raise
    if uid != os.geteuid():
        sock.close()
        raise RkatError(
            "PERMISSION_DENIED",
            f"The socket {path} is served by uid {uid} and not by you (uid {os.geteuid()}).",
            hint=f"Somebody else made it; move {path} away.",
            details={"path": path, "uid": uid},
        )
    return sock


def _start_and_connect(where: Places, until: float, command: Sequence[str]) -> socket.socket:
    os.close(open_directory(where.runtime_dir, refuse=PRIVATE))
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    lock = os.open(where.spawn_lock_path, flags, 0o600)
    spawn_at = 0.0
    from . import _service

    try:
        while True:
            # Whoever waits for the lock connects as soon as there is a daemon, and does not queue for its turn.
            held = _try_lock(lock)
            sock = _try(where)
            if sock is not None:
                return sock
            if held and time.monotonic() >= spawn_at:
                service = _service.installed(where)
                if service is not None:
                    _service.start(service, where, until)
                elif _spawn(where, until, command):
                    continue
                spawn_at = time.monotonic() + _RESPAWN_SECONDS
            if time.monotonic() >= until:
                _give_up(where, "The daemon did not answer in time.")
            time.sleep(_POLL_SECONDS)
    finally:
        os.close(lock)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _spawn(where: Places, until: float, command: Sequence[str]) -> bool:
    """Start a daemon and wait for its word: True when it is ready, False when another one is at it."""
    import subprocess

    if not sys.executable:
        raise RkatError("DAEMON_UNAVAILABLE", "The path of the Python interpreter is unknown, so no daemon starts.",
                        hint="Start `meerkatd` yourself.")  # fmt: skip
    reading, writing = os.pipe()
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        output = os.open(where.stderr_path, flags, 0o600)
        try:
            arguments = ["--state-root", where.state_root, "--runtime-dir", where.runtime_dir]
            process = subprocess.Popen(
                [sys.executable, "-P", *command, *arguments, "--ready-fd", str(writing), "--detach"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=daemon_environment(os.environ),
                pass_fds=(writing,),
                start_new_session=True,
            )
        finally:
            os.close(output)
            os.close(writing)
        word = _await_word(reading, until)
    finally:
        os.close(reading)
    try:
        # The detaching fork leaves this process nothing to do, so it is over by now or at once.
        process.wait(timeout=max(1.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if word.startswith(b"FAILED "):
        _tell_failure(word)
    if not word:
        _give_up(where, "The daemon ended before it was ready.")
    return word == b"READY\n"


def _await_word(reading: int, until: float) -> bytes:
    """What the daemon says, up to the end of the line or of the pipe."""
    import select

    word = b""
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    while not word.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return b"LATE\n"
        data = os.read(reading, 4096)
        if not data:
            return word
        word += data
    return word


def _tell_failure(word: bytes) -> NoReturn:
    """Raise the error with which a daemon said that it cannot start."""
    try:
        reason = json.loads(word.removeprefix(b"FAILED "))
        raise RkatError(reason["code"], reason["message"], hint=reason["hint"])
    except (ValueError, KeyError, TypeError):
        raise RkatError("DAEMON_UNAVAILABLE", "The daemon could not start.") from None


def _give_up(where: Places, message: str) -> NoReturn:
    try:
        with open(where.stderr_path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            tail = file.read().decode("utf-8", "replace").strip()
    except OSError:
        tail = ""
    hint = f"Its last words: {tail}" if tail else f"Look into {where.log_path}."
    raise RkatError("DAEMON_UNAVAILABLE", message, hint=hint, details={"stderr": tail, "log": where.log_path})
