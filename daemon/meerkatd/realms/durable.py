"""Small files that are replaced as a whole, and survive a power cut once the call returns."""

import os
import shutil
from collections.abc import Callable


def write_durably(
    path: str, data: bytes, *, before_rename: Callable[[], None] | None = None, and_folder: bool = True
) -> None:
    """Replace a small file as a whole: temporary file, fsync, rename, fsync of the folder. Mode 0600.

    Args:
        and_folder: False leaves the last fsync to a caller who goes on writing in the same folder.
        before_rename: called when only the rename is left; what it raises undoes everything.

    Raises:
        OSError: the file is as it was before, unless the fsync of the folder itself failed.
    """
    temporary = f"{path}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if before_rename is not None:
            before_rename()
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    if and_folder:
        sync_folder(os.path.dirname(path))


def sync_folder(folder: str) -> None:
    """Make renames in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_below(folder: str) -> None:
    """Make every file and name below a folder durable."""
    for path, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(os.path.join(path, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(path)


def removed(path: str) -> None:
    """Remove a folder or file of ours, if it is there."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
