"""Backups: a realm's folder as of one moment, taken while it is used, and brought back.

A backup is a folder that is complete in itself: manifest, config with its secrets, the store's files in their own
format, blobs, and `backup.json`, which has the digest of every session as it was read back from the copy. It grows
under another name and gets its own when everything in it is on the disk, so there is no half of one.

Restoring copies it to the side, opens the copy, compares the digests, and moves it to where realms are.
"""

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import trio

from meerkat_client.wire.version import VERSION

from .. import store as backends
from ..contract.realm import RealmCopied
from ..errors import InvalidParams, RealmDamaged, RealmTooNew
from ..ids import parse_realm_id
from ..store.api import RealmStore
from ..store.blobs import FileBlobs
from ..store.digest import digests
from ..store.disk import UnsyncedDisk
from . import manifest as manifests
from .config.files import CONFIG_NAME, STATE_NAME
from .durable import removed, sync_below, sync_folder
from .incoming import Incoming, as_fault, check_absent, check_target, store_of
from .realm import Realm
from .trash import bytes_below

NOTE_NAME = "backup.json"
FORMAT = 1


class Backups:
    """Takes backups of realms, and makes realms of backups."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming

    async def take(self, realm: Realm, path: str) -> RealmCopied:
        """Write a backup of `realm` to `path`, which must not exist. Turns go on meanwhile.

        Raises:
            InvalidParams: there is something at the path, or the realm is in memory.
            RealmNotFound, RealmDamaged, StorageFull, StorageFailed: there is nothing at the path.
        """
        async with self._incoming.turn:
            partial = check_target(path)
            store = await store_of(realm)
            if store.backend == "memory":
                raise InvalidParams(
                    f"realm_id: realm {realm.realm_id!r} is in memory and has no files to back up.",
                    details={"field": "realm_id"},
                    hint="`rkat realms export` writes it into a file.",
                )
            with as_fault("write the backup"):
                try:
                    return await self._take(realm, store, partial, path)
                finally:
                    with trio.CancelScope(shield=True):
                        await trio.to_thread.run_sync(removed, partial)

    async def _take(self, realm: Realm, store: RealmStore, partial: str, path: str) -> RealmCopied:
        await trio.to_thread.run_sync(_made, partial)
        copied = await proven(await store.copy_to(partial), realm_id=realm.realm_id)
        blobs = FileBlobs(partial, disk=UnsyncedDisk())
        for blob_id in await store.blobs.ids():
            blob = await store.blobs.get(blob_id)
            await blobs.put(blob.data, blob.media_type)
            copied["blobs"] += 1
        await realm.config.settled()
        await trio.to_thread.run_sync(_finish, realm.folder, partial, path, copied)
        copied["path"] = path
        copied["bytes"] = await trio.to_thread.run_sync(bytes_below, path)
        return copied

    async def restore(self, path: str, realm_id: str | None) -> tuple[Realm, RealmCopied]:
        """Make a realm of the backup at `path`: of the id that it had, or another one.

        Raises:
            RealmExists: there is a realm of this id.
            InvalidParams: there is no backup at the path. RealmTooNew: a newer program made it.
            RealmDamaged: it is not what was backed up. StorageFull, StorageFailed.
            Nothing is made in each case.
        """
        registry = self._incoming.registry
        async with self._incoming.turn, self._incoming.fresh() as folder:
            with as_fault("read the backup"):
                manifest, note = await trio.to_thread.run_sync(_opened, path)
                realm = registry.get(
                    manifest.realm_id if realm_id is None else parse_realm_id(realm_id), origin=manifest.origin
                )
                with registry.using(realm):
                    check_absent(realm)
                    await trio.to_thread.run_sync(_copied, path, folder)
                    opened = await backends.backend(manifest.backend).open(folder, create=False, bulk=True)
                    copied = await proven(opened, realm_id=realm.realm_id)
                    _compare(note, copied["digests"], path)
                    named = replace(manifest, realm_id=realm.realm_id)
                    await trio.to_thread.run_sync(manifests.create, folder, named)
                    await self._incoming.move_in(folder, realm)
            copied["path"] = realm.folder
            copied["blobs"] = len(await FileBlobs(realm.folder).ids())
            copied["bytes"] = await trio.to_thread.run_sync(bytes_below, realm.folder)
            return realm, copied


async def proven(store: RealmStore, *, realm_id: str) -> RealmCopied:
    """`read_through` a copy, and close it."""
    try:
        return await read_through(store, realm_id=realm_id)
    finally:
        with trio.CancelScope(shield=True):
            await store.aclose()


async def read_through(store: RealmStore, *, realm_id: str) -> RealmCopied:
    """Read all of a copy, and say what is in it.

    Raises:
        RealmDamaged: it contradicts itself.
    """
    problems = await store.problems()
    if problems:
        raise RealmDamaged(
            f"The copy is damaged, as the realm must be: {problems[0]}",
            details={"realm_id": realm_id, "problems": list(problems)},
        )
    facts = await store.info()
    each = await digests(store)
    return {
        "realm_id": realm_id,
        "backend": facts.backend,
        "path": "",
        "sessions": facts.sessions,
        "messages": facts.messages,
        "blobs": 0,
        "bytes": 0,
        "digests": dict(each),
    }


def _made(partial: str) -> None:
    removed(partial)
    os.mkdir(partial, 0o700)


def _finish(realm_folder: str, partial: str, path: str, copied: RealmCopied) -> None:
    for name in (CONFIG_NAME, STATE_NAME, manifests.FILE_NAME):
        source = os.path.join(realm_folder, name)
        if os.path.exists(source):
            shutil.copyfile(source, os.path.join(partial, name))
            os.chmod(os.path.join(partial, name), 0o600)
    note = {
        "backup_format": FORMAT,
        "written_by": VERSION,
        "taken_at": int(time.time()),
        "realm_id": copied["realm_id"],
        "digests": copied["digests"],
    }
    with open(os.path.join(partial, NOTE_NAME), "w", encoding="utf-8") as file:
        json.dump(note, file, indent=1)
    os.chmod(file.name, 0o600)
    sync_below(partial)
    # Not over an empty folder that came to be meanwhile, which a rename would replace.
    check_target(path)
    os.rename(partial, path)
    sync_folder(os.path.dirname(path))


def _opened(path: str) -> tuple[manifests.Manifest, Mapping[str, Any] | None]:
    """Manifest and note of a backup; no note for a realm's folder that was copied by hand."""
    manifest = manifests.read(path) if os.path.isabs(path) else None
    if manifest is None or manifest.backend == "memory":
        raise InvalidParams(f"path: there is no backup at {path}.", details={"field": "path"})
    try:
        with open(os.path.join(path, NOTE_NAME), encoding="utf-8") as file:
            note = json.load(file)
    except FileNotFoundError:
        return manifest, None
    except ValueError:
        note = None
    if not isinstance(note, dict) or not isinstance(note.get("digests"), dict):
        raise RealmDamaged(f"The backup's note cannot be read: {file.name}.", details={"path": file.name})
    if note.get("backup_format", 0) > FORMAT:
        raise RealmTooNew(
            f"The backup was made by meerkatd {note.get('written_by')}, which is newer than this one.",
            details={"path": path, "written_by": note.get("written_by")},
        )
    return manifest, note


def _copied(path: str, folder: str) -> None:
    for name in os.listdir(path):
        source, target = os.path.join(path, name), os.path.join(folder, name)
        if name == NOTE_NAME or os.path.islink(source):
            continue
        if os.path.isdir(source):
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copyfile(source, target)
    for where, folders, names in os.walk(folder):
        for name in folders:
            os.chmod(os.path.join(where, name), 0o700)
        for name in names:
            os.chmod(os.path.join(where, name), 0o600)


def _compare(note: Mapping[str, Any] | None, found: Mapping[str, str], path: str) -> None:
    if note is None or note["digests"] == found:
        return
    wrong = sorted(name for name in {*note["digests"], *found} if note["digests"].get(name) != found.get(name))
    raise RealmDamaged(
        f"The backup at {path} is not what was backed up: {len(wrong)} of its sessions differ, first {wrong[0]}.",
        details={"path": path, "sessions": wrong[:20]},
        hint="Nothing was restored. Take another backup, or another copy of this one.",
    )
