"""Blobs: bytes with a media type, kept once by what they are.

A blob's id is `sha256:` and the digest of its file: the media type, a line feed, the bytes. So `sha256sum` checks a
file against its name, equal bytes of two media types are two blobs, and a blob never changes. They are never deleted
one by one.

A row that names a blob is committed after `put` has returned, and by then the blob is on the disk: a crash leaves at
most a blob that nobody names.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import trio

from meerkat_client.wire.limits import MAX_BLOB

from ..errors import BlobNotFound, InvalidParams, RealmDamaged, RequestTooLarge
from .disk import NEW, Disk
from .file_faults import storage_fault

FOLDER = "blobs"
PREFIX = "sha256:"
ID = re.compile(r"sha256:[0-9a-f]{64}")
# type/subtype of RFC 6838. Parameters such as a charset are not kept: what they tell, the bytes tell as well.
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """What an id stands for."""

    blob_id: str
    media_type: str
    data: bytes


class Blobs(Protocol):
    """The blobs of one realm."""

    async def put(self, data: bytes, media_type: str) -> str:
        """Keep bytes; returns their blob id. Durable when it returns, also when they had been kept before.

        `media_type` is `type/subtype` in lower case. Cancelling it leaves open whether they are kept, which hurts
        nobody.

        Raises:
            InvalidParams: it is no media type. RequestTooLarge: there are more bytes than `MAX_BLOB`.
            StorageFull, StorageFailed: nothing was kept.
        """
        ...

    async def get(self, blob_id: str) -> Blob:
        """Read a blob and check it against its id.

        Raises:
            BlobNotFound: there is none. RealmDamaged: its bytes are not those that were kept. StorageFailed.
        """
        ...

    async def ids(self) -> list[str]:
        """Every blob's id, sorted."""
        ...


class FileBlobs:
    """Blobs as files below a realm's folder. Holds nothing open.

    Args:
        folder: the realm's; the blobs' own is made with the first blob.
    """

    def __init__(self, folder: str, *, disk: Disk | None = None) -> None:
        self.folder = os.path.join(folder, FOLDER)
        self._disk = disk or Disk()
        # Two at once could be of the same bytes, and so of the same file.
        self._writing = trio.Lock()

    async def put(self, data: bytes, media_type: str) -> str:
        content = content_of(data, media_type)
        blob_id = id_of(content)
        async with self._writing:
            with trio.CancelScope(shield=True), _faults(self.folder):
                await trio.to_thread.run_sync(self._put, self.path(blob_id), content)
        return blob_id

    async def get(self, blob_id: str) -> Blob:
        with _faults(self.folder):
            content = await trio.to_thread.run_sync(partial(self._read, self.path(blob_id)))
        if content is None:
            raise _missing(blob_id)
        return blob_of(content, blob_id, where=self.path(blob_id))

    async def ids(self) -> list[str]:
        with _faults(self.folder):
            names = await trio.to_thread.run_sync(self._names)
        return sorted(PREFIX + name for name in names if ID.fullmatch(PREFIX + name))

    def path(self, blob_id: str) -> str:
        return os.path.join(self.folder, blob_id.removeprefix(PREFIX))

    def _put(self, path: str, content: bytes) -> None:
        if not os.path.isdir(self.folder):
            # Not the realm's folder with it: that one is gone when the realm was deleted.
            os.mkdir(self.folder, 0o700)
            self._disk.sync_folder(os.path.dirname(self.folder))
        # One that is there may be damaged, and then this mends it.
        if self._read(path) != content:
            try:
                self._disk.put(path, content)
            except OSError:
                self._disk.remove(path + NEW)
                raise
        # Also when it was there: its name may be younger than the last sync.
        self._disk.sync_folder(self.folder)

    def _read(self, path: str) -> bytes | None:
        try:
            with self._disk.reader(path) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _names(self) -> list[str]:
        try:
            return os.listdir(self.folder)
        except FileNotFoundError:
            return []


class MemoryBlobs:
    """Blobs of a realm in memory."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    async def put(self, data: bytes, media_type: str) -> str:
        await trio.lowlevel.checkpoint()
        content = content_of(data, media_type)
        blob_id = id_of(content)
        self._contents[blob_id] = content
        return blob_id

    async def get(self, blob_id: str) -> Blob:
        await trio.lowlevel.checkpoint()
        if blob_id not in self._contents:
            raise _missing(blob_id)
        return blob_of(self._contents[blob_id], blob_id, where=blob_id)

    async def ids(self) -> list[str]:
        await trio.lowlevel.checkpoint()
        return sorted(self._contents)


def content_of(data: bytes, media_type: str) -> bytes:
    """What a blob's file holds. Raises as `Blobs.put` does."""
    if len(data) > MAX_BLOB:
        raise RequestTooLarge(
            f"A blob may have {MAX_BLOB} bytes; this one has {len(data)}.", details={"limit": MAX_BLOB}
        )
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise InvalidParams(
            "media_type: must be type/subtype in lower case, such as image/png.", details={"field": "media_type"}
        )
    return media_type.encode() + b"\n" + data


def id_of(content: bytes) -> str:
    return PREFIX + hashlib.sha256(content).hexdigest()


def blob_of(content: bytes, blob_id: str, *, where: str) -> Blob:
    """Raises RealmDamaged when the content is not that of `blob_id`."""
    if id_of(content) != blob_id:
        raise RealmDamaged(
            f"The blob {where} has other bytes than those that were stored.",
            details={"path": where, "blob_id": blob_id},
            hint="Restore the file from a backup, or store the same bytes again, which mends it.",
        )
    media_type, _, data = content.partition(b"\n")
    return Blob(blob_id=blob_id, media_type=media_type.decode(), data=data)


def _missing(blob_id: str) -> BlobNotFound:
    return BlobNotFound(f"blob not found: {blob_id}", details={"blob_id": blob_id})


@contextmanager
def _faults(folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_fault(error, folder) from error
