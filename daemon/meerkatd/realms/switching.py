"""Putting another backend's store in the place of a realm's. Synchronous, and safe at every step.

The manifest alone says which backend a realm has, so replacing it is the moment of the change:

    1  the new store is complete and on the disk, to the side
    2  `converting.json` says what is being done          a crash from here on: `settle` finds it
    3  the new store's files are moved beside the old ones
    4  the manifest is replaced                             before: the old store counts; from here on: the new one
    5  the old store's files go to the trash, with copies of the manifest and config of then
    6  `converting.json` is removed

`settle` is called before a realm is opened. It looks at the manifest and puts the files of the backend that lost away:
removes new ones, which were copies, or moves old ones to the trash. It can be interrupted and called again.
"""

import json
import os
import shutil
from dataclasses import replace

from ..contract.connection import BackendName
from ..errors import RealmDamaged
from ..store import FILES
from ..store.blobs import FOLDER as BLOBS
from . import manifest as manifests
from .config.files import CONFIG_NAME, STATE_NAME
from .durable import removed, sync_below, sync_folder, write_durably
from .manifest import Manifest
from .trash import Trash

JOURNAL = "converting.json"
# The manifest of before, until it is in the trash.
_EARLIER = "realm_manifest.earlier.json"


def switch(realm_folder: str, fresh: str, manifest: Manifest, to: BackendName, trash: Trash) -> None:
    """Make the store in `fresh` that of the realm, whose own is closed. Raises OSError.

    Args:
        manifest: as it is before.
    """
    sync_below(fresh)
    note = {"from": manifest.backend, "to": to, "trash_id": trash.fresh_id(realm_folder)}
    write_durably(os.path.join(realm_folder, JOURNAL), json.dumps(note).encode())
    shutil.copyfile(os.path.join(realm_folder, manifests.FILE_NAME), os.path.join(realm_folder, _EARLIER))
    for name in FILES[to]:
        if os.path.lexists(os.path.join(fresh, name)):
            os.rename(os.path.join(fresh, name), os.path.join(realm_folder, name))
    sync_below(realm_folder)
    manifests.create(realm_folder, replace(manifest, backend=to))
    settle(realm_folder, trash)


def is_unsettled(realm_folder: str) -> bool:
    return os.path.lexists(os.path.join(realm_folder, JOURNAL))


def settle(realm_folder: str, trash: Trash) -> None:
    """End a conversion, one way or the other. Nothing happens when there is none.

    Raises:
        RealmDamaged: what it left cannot be read. OSError.
    """
    path = os.path.join(realm_folder, JOURNAL)
    try:
        with open(path, "rb") as file:
            note = json.load(file)
        lost, won, trash_id = note["from"], note["to"], note["trash_id"]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError) as error:
        raise RealmDamaged(f"What a conversion left cannot be read: {path}.", details={"path": path}) from error
    manifest = manifests.read(realm_folder)
    if manifest is not None and manifest.backend == won:
        _put_away(realm_folder, os.path.join(trash.folder, trash_id), FILES[lost])
    else:
        for name in FILES[won]:
            removed(os.path.join(realm_folder, name))
    removed(os.path.join(realm_folder, _EARLIER))
    sync_folder(realm_folder)
    os.unlink(path)
    sync_folder(realm_folder)


def _put_away(realm_folder: str, target: str, names: tuple[str, ...]) -> None:
    """Move a store to the trash, where it is a whole realm: with its manifest, config and blobs."""
    os.makedirs(target, mode=0o700, exist_ok=True)
    copies = ((_EARLIER, manifests.FILE_NAME), (CONFIG_NAME, CONFIG_NAME), (STATE_NAME, STATE_NAME))
    for name, copy in copies:
        source = os.path.join(realm_folder, name)
        if os.path.exists(source):
            shutil.copyfile(source, os.path.join(target, copy))
            os.chmod(os.path.join(target, copy), 0o600)
    _share_blobs(os.path.join(realm_folder, BLOBS), os.path.join(target, BLOBS))
    for name in names:
        source = os.path.join(realm_folder, name)
        if os.path.lexists(source):
            os.rename(source, os.path.join(target, name))
    sync_below(target)
    sync_folder(os.path.dirname(target))


def _share_blobs(source: str, target: str) -> None:
    """Blobs never change, so one file can be in both."""
    if not os.path.isdir(source):
        return
    os.makedirs(target, mode=0o700, exist_ok=True)
    for name in os.listdir(source):
        if not os.path.lexists(os.path.join(target, name)):
            os.link(os.path.join(source, name), os.path.join(target, name))
