"""Where everything is: the state root with the data, and the runtime directory with the socket.

State root: an explicit path, `MEERKAT_STATE_ROOT`, or `meerkat` in the platform's data directory. One daemon per state
root, so its lock is a file in there: a login session and a cron job often disagree about the runtime directory, and a
lock beside the socket would then let two daemons write the same data.

Runtime directory, the first that fits: `MEERKAT_RUNTIME_DIR`, `$XDG_RUNTIME_DIR/meerkat`, `/run/user/<uid>/meerkat`
(Linux), `~/.local/state/meerkat/run`; on macOS `~/Library/Application Support/meerkat/run`, because its TMPDIR is
purged after days. Never a name in a shared directory that someone else could have made first. A state root other than
the account's own default gets a subdirectory `r-<hash>`: it is another, isolated daemon with its own socket.

A socket's path holds 107 bytes on Linux and 103 on macOS. A longer one is reached on Linux through
`/proc/self/fd/<directory>`; elsewhere the socket moves to `mk-<hash>` below the next runtime directory that is short.
"""

import os
import pwd
import stat
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .faults import PathRefused

APP = "meerkat"
SOCKET_NAME = "md.sock"
# sun_path without its closing NUL; measured on Linux, documented on macOS.
MAX_SOCKET_PATH = 103 if sys.platform == "darwin" else 107

PRIVATE = 0o077  # mode bits that a directory with a socket may not have
UNWRITABLE = 0o022  # mode bits that a directory with our data may not have


class Places(NamedTuple):
    """The files and directories of one daemon; absolute, canonical paths."""

    state_root: str
    runtime_dir: str
    socket_path: str
    lock_path: str
    spawn_lock_path: str
    stderr_path: str
    log_path: str


def _home(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME", "")
    return home if home.startswith("/") else _account_home()


def _account_home() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return "/nonexistent"


def _absolute(environ: Mapping[str, str], name: str) -> str | None:
    """A variable's path; a relative one is ignored, as the XDG specification demands."""
    value = environ.get(name, "")
    return value if value.startswith("/") else None


def _data_below(home: str) -> str:
    if sys.platform == "darwin":
        return f"{home}/Library/Application Support/{APP}"
    return f"{home}/.local/share/{APP}"


def default_state_root(environ: Mapping[str, str]) -> str:
    data = None if sys.platform == "darwin" else _absolute(environ, "XDG_DATA_HOME")
    return f"{data}/{APP}" if data else _data_below(_home(environ))


def user_config_path(environ: Mapping[str, str] | None = None) -> str:
    """The user's own config file, beneath that of every realm and state root: `MEERKAT_USER_CONFIG`, or
    `meerkat/config.toml` in `$XDG_CONFIG_HOME` or `~/.config`, on macOS too. It need not exist."""
    env = os.environ if environ is None else environ
    explicit = env.get("MEERKAT_USER_CONFIG")
    if explicit:
        return os.path.abspath(explicit)
    folder = _absolute(env, "XDG_CONFIG_HOME") or f"{_home(env)}/.config"
    return f"{folder}/{APP}/config.toml"


def _digest(path: str) -> str:
    """16 base32 characters (80 bits), lower-case for file systems that ignore case."""
    # Here and not above: they load OpenSSL, which would cost each client of the default state root 1 MiB for
    # nothing.
    import base64
    import hashlib

    return base64.b32encode(hashlib.sha256(os.fsencode(path)).digest()[:10]).decode().lower()


def _owned_directory(path: str) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & PRIVATE


def _runtime_bases(environ: Mapping[str, str]) -> Iterator[str]:
    explicit = environ.get("MEERKAT_RUNTIME_DIR")
    if explicit:
        yield os.path.abspath(explicit)
    home = _home(environ)
    if sys.platform == "darwin":
        yield f"{_data_below(home)}/run"
        return
    session = _absolute(environ, "XDG_RUNTIME_DIR")
    # After `su` the variable may name another user's directory, or one that is gone.
    if session and _owned_directory(session):
        yield f"{session}/{APP}"
    session = f"/run/user/{os.geteuid()}"
    if _owned_directory(session):
        yield f"{session}/{APP}"
    yield f"{home}/.local/state/{APP}/run"


def _runtime_dir(state_root: str, environ: Mapping[str, str]) -> str:
    # Compared with the account's home and not with HOME: a changed HOME moves the data, so it must move the socket.
    default = os.path.realpath(_data_below(_account_home()))
    below = "" if state_root == default else f"/r-{_digest(state_root)}"
    candidates = [os.path.realpath(base) + below for base in _runtime_bases(environ)]
    first = candidates[0]
    if len(os.fsencode(first)) + len(SOCKET_NAME) < MAX_SOCKET_PATH or _has_descriptor_paths():
        return first
    for candidate in candidates[1:]:
        moved = f"{os.path.dirname(candidate) if below else candidate}/mk-{_digest(first)}"
        if len(os.fsencode(moved)) + len(SOCKET_NAME) < MAX_SOCKET_PATH:
            return moved
    raise PathRefused(
        f"The socket's path {first}/{SOCKET_NAME} is longer than {MAX_SOCKET_PATH} bytes.",
        hint="Set MEERKAT_RUNTIME_DIR to a shorter directory of your own.",
        details={"path": first},
    )


def _has_descriptor_paths() -> bool:
    """Whether a directory's descriptor can stand for its path; measured on Linux with a socket path of 160 bytes."""
    return os.path.isdir("/proc/self/fd")


def places(
    state_root: str | None = None, *, runtime_dir: str | None = None, environ: Mapping[str, str] | None = None
) -> Places:
    """The places of the daemon of `state_root`. Touches no file beyond looking.

    Args:
        state_root: None for the one that the environment names.
        runtime_dir: None for the rule above; a daemon is told its client's choice, so that both agree.

    Raises:
        PathRefused: no usable path for a socket.
    """
    env = os.environ if environ is None else environ
    root = os.path.realpath(state_root or env.get("MEERKAT_STATE_ROOT") or default_state_root(env))
    run = os.path.realpath(runtime_dir) if runtime_dir else _runtime_dir(root, env)
    return Places(
        state_root=root,
        runtime_dir=run,
        socket_path=f"{run}/{SOCKET_NAME}",
        lock_path=f"{root}/meerkatd.lock",
        spawn_lock_path=f"{run}/spawn.lock",
        stderr_path=f"{run}/meerkatd.stderr",
        log_path=f"{root}/log/meerkatd.log",
    )


def open_directory(path: str, *, refuse: int, create: bool = True) -> int:
    """A descriptor of a directory that is ours: made with 0700 when missing, checked when not, never changed.

    Args:
        refuse: mode bits that it must not have, `PRIVATE` or `UNWRITABLE`.

    Raises:
        PathRefused: it is a symlink or no directory, belongs to someone else, or is open to others.
        FileNotFoundError: it is missing and `create` is false.
        OSError: it cannot be made or opened.
    """
    if create:
        _make_private(path)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (NotADirectoryError, PermissionError) as error:
        raise PathRefused(f"{path} is not a directory of yours.", hint=f"Move {path} away.") from error
    found = os.fstat(fd)
    if found.st_uid != os.geteuid():
        os.close(fd)
        raise PathRefused(
            f"{path} belongs to uid {found.st_uid} and not to you (uid {os.geteuid()}).",
            hint=f"Move it away, or `chown` it if it should be yours: {path}",
            details={"path": path, "uid": found.st_uid},
        )
    if found.st_mode & refuse:
        os.close(fd)
        mode = stat.S_IMODE(found.st_mode)
        raise PathRefused(
            f"{path} has mode {mode:04o} and is open to other users.",
            hint=f"`chmod {mode & ~refuse:04o} {path}`, after a look at what is inside.",
            details={"path": path, "mode": f"{mode:04o}"},
        )
    return fd


def _make_private(path: str) -> None:
    """mkdir -p with 0700 for each new part: os.makedirs would give its mode to the last one only."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        parent = os.path.dirname(path)
        if parent == path:
            raise
        _make_private(parent)
        _make_private(path)


def socket_address(directory_fd: int, path: str) -> str:
    """The address for bind() and connect(): `path`, or its short alias through the open directory.

    Raises:
        PathRefused: the path is too long and there is no alias on this system.
    """
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        return path
    if _has_descriptor_paths():
        return f"/proc/self/fd/{directory_fd}/{os.path.basename(path)}"
    raise PathRefused(
        f"The socket's path {path} is longer than {MAX_SOCKET_PATH} bytes.",
        hint="Set MEERKAT_RUNTIME_DIR to a shorter directory of your own.",
        details={"path": path},
    )
