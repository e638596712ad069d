"""The trash of a state root: folders of deleted realms, from which a slip can be undone. Synchronous.

A folder is renamed as a whole, so a realm is either here or there, also after a crash.
"""

import calendar
import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import MeerkatError
from . import manifest as manifests
from .durable import sync_folder
from .manifest import Manifest

_STAMP = "%Y%m%dT%H%M%SZ"
_STAMP_CHARS = len("20250131T235959Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trashed:
    """One folder in the trash. `deleted_at` is in Unix seconds; no manifest means that it cannot be read."""

    trash_id: str
    path: str
    deleted_at: int
    bytes_on_disk: int
    manifest: Manifest | None


class Trash:
    """The folder `trash` of a state root; made when it is needed. All methods may raise OSError."""

    def __init__(self, state_root: str) -> None:
        self.folder = os.path.join(state_root, "trash")

    def put(self, realm_folder: str) -> str:
        """Move a realm's folder here; returns its `trash_id`."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        trash_id = self.fresh_id(realm_folder)
        os.rename(realm_folder, os.path.join(self.folder, trash_id))
        sync_folder(self.folder)
        sync_folder(os.path.dirname(realm_folder))
        return trash_id

    def fresh_id(self, realm_folder: str) -> str:
        """A name that nothing has here."""
        first = f"{time.strftime(_STAMP, time.gmtime())}-{os.path.basename(realm_folder)}"
        # A rename onto an empty folder would replace it without a word.
        return next(name for name in _names(first) if not os.path.lexists(os.path.join(self.folder, name)))

    def take_back(self, trashed: Trashed, realm_folder: str) -> None:
        """Move a folder back to where realms are."""
        os.makedirs(os.path.dirname(realm_folder), mode=0o700, exist_ok=True)
        os.rename(trashed.path, realm_folder)
        sync_folder(os.path.dirname(realm_folder))
        sync_folder(self.folder)

    def list(self) -> list[Trashed]:
        """What is here, newest first."""
        try:
            entries = [entry for entry in os.scandir(self.folder) if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        found = [self._look(entry) for entry in entries]
        return sorted(found, key=lambda each: (each.deleted_at, each.trash_id), reverse=True)

    def _look(self, entry: os.DirEntry[str]) -> Trashed:
        try:
            manifest = manifests.read(entry.path)
        except MeerkatError:
            manifest = None
        return Trashed(
            trash_id=entry.name,
            path=entry.path,
            deleted_at=_deleted_at(entry),
            bytes_on_disk=bytes_below(entry.path),
            manifest=manifest,
        )

    def delete(self, trashed: Trashed) -> None:
        """Remove a folder for good. A crash in the middle leaves the rest here."""
        shutil.rmtree(trashed.path)
        sync_folder(self.folder)


def _names(first: str) -> Iterator[str]:
    yield first
    number = 2
    while True:
        yield f"{first}-{number}"
        number += 1


def _deleted_at(entry: os.DirEntry[str]) -> int:
    try:
        stamp = time.strptime(entry.name[:_STAMP_CHARS], _STAMP)
    except ValueError:
        # Somebody put it here by hand.
        return int(entry.stat(follow_symlinks=False).st_mtime)
    return calendar.timegm(stamp)


def bytes_below(folder: str) -> int:
    """Sizes of all files below a folder, without those that vanish meanwhile."""
    return sum(found.st_size for found in _files_below(folder))


def last_change(folder: str) -> float:
    """When anything below a folder was written last, in Unix seconds; 0 for a folder without files."""
    return max((found.st_mtime for found in _files_below(folder)), default=0.0)


def _files_below(folder: str) -> Iterator[os.stat_result]:
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                yield os.stat(os.path.join(path, name), follow_symlinks=False)
