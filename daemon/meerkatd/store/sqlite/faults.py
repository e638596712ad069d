"""SQLite's errors, as the errors of this program.

Nothing of SQLite's own text is passed on; `details.sqlite_code` has the name of its extended result code.
"""

import apsw

from ...errors import MeerkatError, RealmDamaged, StorageFailed, StorageFull, StorageUnknown

_FULL = (apsw.FullError,)
_DAMAGED = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError)
_LOCKED = (apsw.BusyError, apsw.LockedError, apsw.ProtocolError)
_REFUSED = (
    apsw.IOError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.PermissionsError,
    apsw.AuthError,
    apsw.NoMemError,
    apsw.NoLFSError,
)


def _details(error: Exception, path: str) -> dict[str, str]:
    number = getattr(error, "extendedresult", 0) or getattr(error, "result", 0)
    name = apsw.mapping_extended_result_codes.get(number) or apsw.mapping_result_codes.get(number)
    return {"path": path, "sqlite_code": str(name) if number else type(error).__name__}


def storage_fault(error: Exception, path: str) -> MeerkatError | None:
    """What `error` means when it came before COMMIT: nothing was written.

    None when it is not the disk's or the file's fault but a bug of ours, such as a violated constraint.
    """
    details = _details(error, path)
    if isinstance(error, _FULL):
        return StorageFull(f"The disk that holds {path} is full.", details=details)
    if isinstance(error, _DAMAGED):
        return RealmDamaged(f"The database {path} is damaged.", details=details)
    if isinstance(error, _LOCKED):
        return StorageFailed(f"Another program has the database {path} open.", details=details)
    if isinstance(error, _REFUSED):
        return StorageFailed(f"The file system refused to read or write {path}.", details=details)
    return None


def commit_fault(error: Exception, path: str) -> MeerkatError:
    """What `error` means when it came from COMMIT itself.

    A full disk is a clean refusal: the frame that would commit was not written. Anything else leaves the
    outcome open. Measured: after an fdatasync that failed in COMMIT the connection shows the transaction as
    rolled back, and a crash right then brings it back.
    """
    if isinstance(error, _FULL):
        return StorageFull(f"The disk that holds {path} is full.", details=_details(error, path))
    return StorageUnknown(
        f"The disk failed while a change to {path} was being committed.", details=_details(error, path)
    )
