"""The directories of the daemon and the files in them that others must not read: owners, modes, room to write."""

import os
import stat
from collections.abc import Iterator

from meerkat_client.wire.faults import PathRefused
from meerkat_client.wire.paths import PRIVATE, UNWRITABLE, Places, open_directory, user_config_path

from .finding import Finding, warning, well, wrong


def folders(places: Places) -> Iterator[Finding]:
    """Findings about state root, runtime directory and the user's config."""
    yield _folder("state_root", places.state_root, refuse=UNWRITABLE)
    yield _folder("runtime_dir", places.runtime_dir, refuse=PRIVATE)
    yield from _user_config(user_config_path())


def _folder(check: str, path: str, *, refuse: int) -> Finding:
    try:
        os.close(open_directory(path, refuse=refuse, create=False))
    except FileNotFoundError:
        return well(check, path, "is not there yet; the daemon makes it")
    except PathRefused as refused:
        return wrong(check, path, refused.message, code=refused.code, mend=refused.hint)
    except OSError as error:
        return wrong(
            check, path, f"cannot be opened ({error.strerror})", code="STORAGE_ERROR", mend="Look at this path."
        )
    if not os.access(path, os.W_OK | os.X_OK) or _read_only(path):
        return wrong(
            check,
            path,
            "cannot be written",
            code="STORAGE_ERROR",
            mend="Make it writable for yourself, or set MEERKAT_STATE_ROOT to another directory.",
        )
    return well(check, path, "yours alone to write" if refuse == UNWRITABLE else "yours alone")


def _read_only(path: str) -> bool:
    # The superuser may write anywhere but on what is mounted read-only.
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _user_config(path: str) -> Iterator[Finding]:
    try:
        found = os.stat(path)
    except OSError:
        return
    if stat.S_IMODE(found.st_mode) & PRIVATE and _holds_keys(path):
        yield warning(
            "user_config",
            path,
            f"holds keys and has mode {stat.S_IMODE(found.st_mode):04o}: other users can read it",
            mend=f"chmod 600 {path}",
        )
        return
    yield well("user_config", path, "is there")


def _holds_keys(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b"api_key" in file.read(1024 * 1024)
    except OSError:
        return False
