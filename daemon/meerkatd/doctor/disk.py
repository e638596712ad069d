"""Is there room, and is it a disk that a daemon can trust its locks to?"""

import os
from collections.abc import Callable, Iterator

from ..contract.finding import Finding

# A turn writes kilobytes, but a checkpoint may copy a whole write-ahead log, which is kept below 16 MiB for each realm.
LOW_BYTES = 256 * 1024 * 1024
NO_BYTES = 16 * 1024 * 1024
# Each realm is a folder of about ten files.
NO_FILES = 100

_NETWORK = frozenset(("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "fuse.sshfs"))


def disk(state_root: str, *, statvfs: Callable[[str], os.statvfs_result] = os.statvfs) -> Iterator[Finding]:
    """Findings about the file system of the state root."""
    found = statvfs(state_root)
    free = found.f_bavail * found.f_frsize
    room = f"{free / 1e6:.0f} MB free"
    make_room = "Free some space there; nothing that was told as stored is in danger, but no turn can be stored."
    # File systems that make inodes as they need them say that there are none at all.
    if found.f_files and found.f_favail < NO_FILES:
        yield _finding("error", state_root, "no file can be made any more: the inodes are used up", make_room)
    elif free < NO_BYTES:
        yield _finding("error", state_root, f"the disk is full, {room}", make_room)
    elif free < LOW_BYTES:
        yield _finding("warning", state_root, f"the disk is nearly full, {room}", "Free some space there.")
    else:
        yield {"check": "disk.space", "level": "ok", "subject": state_root, "message": room}
    kind = file_system(state_root)
    if kind in _NETWORK:
        yield {
            "check": "disk.kind",
            "level": "warning",
            "subject": state_root,
            "message": f"is on a network file system ({kind}), whose locks cannot be relied on",
            "mend": "Move it to a local disk and set MEERKAT_STATE_ROOT.",
        }


def _finding(level: str, state_root: str, message: str, mend: str) -> Finding:
    if level == "warning":
        return {"check": "disk.space", "level": "warning", "subject": state_root, "message": message, "mend": mend}
    return {
        "check": "disk.space",
        "level": "error",
        "subject": state_root,
        "message": message,
        "code": "STORAGE_FULL",
        "mend": mend,
    }


def file_system(path: str, *, mounts: str = "/proc/self/mounts") -> str | None:
    """The kind of the file system that holds `path`, from the table of mounts; None where there is no such table."""
    best, kind = "", None
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as table:
            rows = [line.split(" ") for line in table]
    except OSError:
        return None
    for row in rows:
        point = row[1].encode("utf-8", "surrogateescape").decode("unicode_escape", "replace")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, row[2]
    return kind
