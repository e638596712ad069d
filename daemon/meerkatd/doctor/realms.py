"""Can every realm be opened, and can its config be used? Looks at manifests and configs, and opens no store."""

import os
from collections.abc import Iterator

from ..contract.finding import Finding
from ..errors import MeerkatError, from_os_error
from ..ids import realm_folder_name
from ..realms import manifest as manifests
from ..realms.registry import Registry


def realms(registry: Registry, state_root: str) -> Iterator[Finding]:
    """Findings about the folder of realms; one for each realm."""
    folder = os.path.join(state_root, "realms")
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        yield _from_error("realm.folder", folder, from_os_error(error, doing="list the realms"))
        return
    for name in names:
        yield from _realm(registry, os.path.join(folder, name))


def _realm(registry: Registry, folder: str) -> Iterator[Finding]:
    try:
        manifest = manifests.read(folder)
    except MeerkatError as error:
        yield _from_error("realm.manifest", folder, error)
        return
    except OSError as error:
        yield _from_error("realm.manifest", folder, from_os_error(error, doing="read the realm's manifest"))
        return
    if manifest is None:
        yield _without_manifest(folder)
        return
    if os.path.basename(folder) != realm_folder_name(manifest.realm_id):
        yield {
            "check": "realm.manifest",
            "level": "error",
            "subject": folder,
            "message": f"is not the folder of the realm {manifest.realm_id!r} that its manifest names",
            "code": "REALM_DAMAGED",
            "mend": f"Rename it to {realm_folder_name(manifest.realm_id)}, unless that exists.",
        }
        return
    realm = registry.get(manifest.realm_id)
    try:
        with registry.using(realm):
            problem = realm.config.look().problem
        found = problem() if problem is not None else None
    except MeerkatError as error:
        found = error
    if found is not None:
        yield _from_error("realm.config", manifest.realm_id, found)
        return
    yield {
        "check": "realm.manifest",
        "level": "ok",
        "subject": manifest.realm_id,
        "message": f"{manifest.backend}, config in order",
    }


def _without_manifest(folder: str) -> Finding:
    if not os.path.isdir(folder):
        return {
            "check": "realm.manifest",
            "level": "warning",
            "subject": folder,
            "message": "is no folder of a realm",
            "mend": "Move it away: nothing here uses it.",
        }
    return {
        "check": "realm.manifest",
        "level": "error",
        "subject": folder,
        "message": f"has no {manifests.FILE_NAME}, so nothing can open it",
        "code": "REALM_DAMAGED",
        "mend": f"Put its {manifests.FILE_NAME} back from a copy, or move the folder away.",
    }


def _from_error(check: str, subject: str, error: MeerkatError) -> Finding:
    return {
        "check": check,
        "level": "error",
        "subject": subject,
        "message": error.message,
        "code": error.code,
        "mend": error.hint,
    }
