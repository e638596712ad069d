"""Refusals of the operating system and contradictions in files, as the errors of this program."""

import errno

from ..errors import MeerkatError, RealmDamaged, StorageFailed, StorageFull, StorageUnknown

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def storage_fault(error: Exception, path: str) -> MeerkatError:
    """What `error` means when nothing was written, or what was written has been cut off again."""
    number = getattr(error, "errno", None)
    details = {"path": path, "errno": errno.errorcode.get(number or 0)}
    if number in _FULL:
        return StorageFull(f"The disk that holds {path} is full.", details=details)
    return StorageFailed(f"The file system refused to read or write {path}.", details=details)


def unknown(error: Exception, path: str) -> MeerkatError:
    """What `error` means when what was written could not be cut off either."""
    number = getattr(error, "errno", None)
    return StorageUnknown(
        f"The disk failed while a change to {path} was being committed.",
        details={"path": path, "errno": errno.errorcode.get(number or 0)},
    )


def damaged(path: str, what: str, *, line: int | None = None, hint: str | None = None) -> RealmDamaged:
    """`what` follows the path: "is shorter than it was"."""
    place = "" if line is None else f" in line {line + 1}"
    return RealmDamaged(f"The file {path} {what}{place}.", details={"path": path, "line": line}, hint=hint)
