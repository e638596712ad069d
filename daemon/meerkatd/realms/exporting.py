"""Exports: a whole realm as one file that any backend takes, and realms made of such files.

What is exported is a copy as of one moment, so that turns can go on. The format is told in `store/portable.py`.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import aclosing
from copy import deepcopy
from typing import Any, BinaryIO, cast

import trio

from meerkat_client.wire.limits import MIB
from meerkat_client.wire.version import VERSION

from .. import store as backends
from ..contract.connection import BackendName
from ..contract.realm import RealmCopied
from ..errors import BlobNotFound, InvalidParams, RealmTooNew
from ..ids import parse_realm_id
from ..sessions.servers import without_secrets
from ..store import portable
from ..store.api import RealmStore, SessionChange
from ..store.blobs import Blob, Blobs
from ..store.parts import parts_of, sessions_of, take
from . import manifest as manifests
from .backup import proven, read_through
from .config import text as config_text
from .config.files import CONFIG_NAME
from .config.secrets import without
from .durable import removed, sync_folder, write_durably
from .incoming import Incoming, as_fault, check_absent, check_target, store_of
from .manifest import Manifest
from .realm import Realm

# A blob of the largest size takes 27 MiB of base64; a message may be as long as a model can make it.
_LONGEST_LINE = 256 * MIB


class Exports:
    """Writes realms into files, and makes realms of files."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming

    async def export(self, realm: Realm, path: str, *, secrets: bool) -> RealmCopied:
        """Write `realm` to the file `path`, which must not exist. Turns go on meanwhile.

        Args:
            secrets: whether keys of providers, and variables and headers of MCP servers, go along.

        Raises:
            InvalidParams: there is something at the path. ConfigInvalid: the config cannot be read, so that its secrets
                cannot be told from the rest.
            RealmNotFound, RealmDamaged, StorageFull, StorageFailed: there is nothing at the path.
        """
        async with self._incoming.turn, self._incoming.fresh() as folder:
            partial = check_target(path)
            store = await store_of(realm)
            config = _config_of(realm, secrets=secrets)
            with as_fault("write the export"):
                try:
                    with await trio.to_thread.run_sync(_created, partial) as file:
                        copied = await self._export(realm, store, folder, _Writer(file), config, secrets=secrets)
                    check_target(path)
                    await trio.to_thread.run_sync(_settled, partial, path)
                finally:
                    with trio.CancelScope(shield=True):
                        await trio.to_thread.run_sync(removed, partial)
                copied["path"] = path
                copied["bytes"] = os.stat(path).st_size
                return copied

    async def _export(
        self, realm: Realm, store: RealmStore, folder: str, writer: "_Writer", config: str | None, *, secrets: bool
    ) -> RealmCopied:
        manifest = realm.manifest()
        head = {
            "format": portable.FORMAT,
            "realm_id": realm.realm_id,
            "backend": store.backend,
            "origin": realm.origin if manifest is None else manifest.origin,
            "created_at": int(time.time()) if manifest is None else manifest.created_at,
            "written_by": VERSION,
        }
        await writer.write(portable.line("export", **head))
        if config is not None:
            await writer.write(portable.line("config", text=config))
        copy = await store.copy_to(folder)
        try:
            if not secrets:
                await _forget_secrets(copy)
            blobs = await self._parts(copy, store.blobs, writer)
            copied = await read_through(copy, realm_id=realm.realm_id)
        finally:
            with trio.CancelScope(shield=True):
                await copy.aclose()
        copied["blobs"] = blobs
        await writer.end(copied["digests"])
        return copied

    async def _parts(self, copy: RealmStore, blobs: Blobs, writer: "_Writer") -> int:
        count = 0
        async with aclosing(parts_of(copy, blobs=blobs)) as parts:
            async for part in parts:
                count += isinstance(part, Blob)
                # In a thread: a large part would hold up everybody else.
                await writer.write(await trio.to_thread.run_sync(portable.line_of, part))
        return count

    async def import_file(
        self, path: str, *, realm_id: str | None, backend: BackendName | None
    ) -> tuple[Realm, RealmCopied]:
        """Make a realm of the export at `path`: of the id and the backend that it had, or others.

        Raises:
            RealmExists: there is a realm of this id.
            InvalidParams: the file is no export, was cut off or changed. RealmTooNew: a newer program wrote it.
            BackendUnavailable, StorageFull, StorageFailed. Nothing is made in each case.
        """
        registry = self._incoming.registry
        async with self._incoming.turn, self._incoming.fresh() as folder:
            with as_fault("read the export"), await trio.to_thread.run_sync(_opened, path) as file:
                reader = _Reader(file, path)
                manifest = _manifest_of(await reader.head(), realm_id=realm_id, backend=backend)
                realm = registry.get(manifest.realm_id, origin=manifest.origin)
                with registry.using(realm):
                    check_absent(realm)
                    copied = await _fill(folder, reader, manifest)
                    await trio.to_thread.run_sync(manifests.create, folder, manifest)
                    await self._incoming.move_in(folder, realm)
            copied["path"] = realm.folder
            return realm, copied


async def _fill(folder: str, reader: "_Reader", manifest: Manifest) -> RealmCopied:
    kind = backends.backend(manifest.backend)
    store = await kind.open(folder, create=True, bulk=True)
    blobs = 0
    try:
        while (said := await reader.next()) is not None:
            if said["kind"] == "config":
                with reader.judged():
                    data = str(said["text"]).encode()
                await trio.to_thread.run_sync(write_durably, os.path.join(folder, CONFIG_NAME), data)
                continue
            with reader.judged():
                part = portable.part_of(said)
                await take(store, part)
                if isinstance(part, Blob):
                    blobs += 1
                    await store.blobs.get(part.blob_id)
    finally:
        with trio.CancelScope(shield=True):
            await store.aclose()
    copied = await proven(await kind.open(folder, create=False, bulk=True), realm_id=manifest.realm_id)
    copied["blobs"] = blobs
    if copied["digests"] != reader.digests:
        raise reader.fault("has other sessions than its last line says")
    return copied


async def _forget_secrets(copy: RealmStore) -> None:
    """Take the secrets of the sessions' own MCP servers out of a store that is thrown away afterwards."""
    found = [(row, without_secrets(row.meta)) async for row, _ in sessions_of(copy)]
    for row, meta in found:
        if meta != row.meta:
            await copy.change_session(row.session_id, SessionChange(updated_ms=row.updated_ms, meta=meta))


def _config_of(realm: Realm, *, secrets: bool) -> str | None:
    version = realm.config.look()
    if version.problem is not None:
        raise version.problem()
    if not version.text:
        return None
    return version.text if secrets else config_text.rewrite(version.text, without(deepcopy(dict(version.plain))))


def _manifest_of(head: Mapping[str, Any], *, realm_id: str | None, backend: BackendName | None) -> Manifest:
    durable = backend or ("sqlite" if head["backend"] == "memory" else head["backend"])
    if durable == "memory":
        raise InvalidParams(
            "backend: what is imported is to stay, and a realm in memory does not.", details={"field": "backend"}
        )
    return Manifest(
        realm_id=parse_realm_id(head["realm_id"] if realm_id is None else realm_id),
        backend=cast(BackendName, durable),
        origin=head["origin"] if realm_id is None else "explicit",
        created_at=head["created_at"],
    )


class _Writer:
    """The file as it grows, and the digest of it so far."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._lines = 0

    async def write(self, line: bytes) -> None:
        await trio.to_thread.run_sync(self._write, line)

    async def end(self, digests: Mapping[str, str]) -> None:
        last = portable.line("end", lines=self._lines, sha256=self._digest.hexdigest(), digests=digests)
        await trio.to_thread.run_sync(self._write, last)
        await trio.to_thread.run_sync(self._sync)

    def _write(self, line: bytes) -> None:
        self._file.write(line)
        self._digest.update(line)
        self._lines += 1

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


class _Reader:
    """The lines of an export, checked on the way.

    Attributes:
        digests: of the sessions, once the last line was read.
    """

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self._path = path
        self._digest = hashlib.sha256()
        self._lines = 0
        self.digests: Mapping[str, str] = {}

    async def head(self) -> Mapping[str, Any]:
        said = await self._read()
        if said is None or said["kind"] != "export" or not isinstance(said.get("format"), int):
            raise self.fault("is not an export of a realm")
        if said["format"] > portable.FORMAT:
            raise RealmTooNew(
                f"The export was written by meerkatd {said.get('written_by')}, which is newer than this one.",
                details={"path": self._path, "written_by": said.get("written_by")},
            )
        names = ("realm_id", "backend", "origin")
        if not all(isinstance(said.get(name), str) for name in names) or not portable.is_number(said.get("created_at")):
            raise self.fault("is not an export of a realm")
        return said

    async def next(self) -> Mapping[str, Any] | None:
        """The next line; None after the last. Raises InvalidParams when the file is not whole."""
        before, lines = self._digest.hexdigest(), self._lines
        said = await self._read()
        if said is None:
            raise self.fault("was cut off: its last line is missing")
        if said["kind"] != "end":
            return said
        if said.get("sha256") != before or said.get("lines") != lines or await self._read() is not None:
            raise self.fault("was changed after it was written")
        self.digests = said.get("digests", {})
        return None

    async def _read(self) -> Mapping[str, Any] | None:
        line = await trio.to_thread.run_sync(self._file.readline, _LONGEST_LINE)
        if not line:
            return None
        try:
            said = await trio.to_thread.run_sync(json.loads, line)
        except (ValueError, RecursionError):
            said = None
        if not line.endswith(b"\n") or not isinstance(said, dict) or not isinstance(said.get("kind"), str):
            raise self.fault("was cut off, or is not an export of a realm")
        self._digest.update(line)
        self._lines += 1
        return said

    def judged(self) -> "_Judged":
        return _Judged(self)

    def fault(self, what: str) -> InvalidParams:
        return InvalidParams(f"path: {self._path} {what}.", details={"field": "path", "line": self._lines or None})


class _Judged:
    """Tells what a store or a row makes of a line that no export has as the file's fault."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, KeyError | TypeError | ValueError | AttributeError | BlobNotFound | InvalidParams):
            raise self._reader.fault("has a line that says something impossible") from error


def _created(partial: str) -> BinaryIO:
    removed(partial)
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    return open(os.open(partial, flags, 0o600), "wb")


def _settled(partial: str, path: str) -> None:
    os.rename(partial, path)
    sync_folder(os.path.dirname(path))


def _opened(path: str) -> BinaryIO:
    if not os.path.isabs(path) or not os.path.isfile(path):
        raise InvalidParams(f"path: there is no file {path}.", details={"field": "path"})
    return open(path, "rb")
