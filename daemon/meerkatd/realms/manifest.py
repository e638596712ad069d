"""`realm_manifest.json`: what a realm is, written once, before anything else of it.

The only authority on a realm's backend. Fields are those of the public contract; `written_by` is ours, so that a
refusal can name the version that is needed.
"""

import json
import os
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from meerkat_client.wire.version import VERSION

from ..contract.connection import BackendName
from ..errors import RealmDamaged, RealmTooNew
from ..ids import RealmId
from .durable import sync_folder, write_durably

FILE_NAME = "realm_manifest.json"
# The newest format that this program reads, and the one it writes.
FORMAT = 1
# A manifest has a few hundred bytes; anything much larger is not one.
_MAX_BYTES = 64 * 1024

Origin = Literal["generated", "workspace", "explicit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Identity, backend and origin of a realm. `created_at` is in Unix seconds."""

    realm_id: RealmId
    backend: BackendName
    origin: Origin
    created_at: int
    manifest_format: int = FORMAT
    written_by: str = VERSION


def read(folder: str) -> Manifest | None:
    """The manifest of the realm in `folder`; None when there is none.

    Raises:
        RealmTooNew: a newer program wrote it.
        RealmDamaged: it is not a manifest.
        OSError: it cannot be read.
    """
    path = os.path.join(folder, FILE_NAME)
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return parse(data, path=path)


def parse(data: bytes, *, path: str) -> Manifest:
    """Read the text of a manifest. Raises as `read` does."""
    try:
        fields: Any = json.loads(data) if len(data) <= _MAX_BYTES else None
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise _damaged(path, "is not a JSON object")
    written_format = fields.get("manifest_format", 1)
    if isinstance(written_format, int) and written_format > FORMAT:
        raise RealmTooNew(
            f"The realm was written by meerkatd {fields.get('written_by', 'of a later version')}, "
            f"in a format that {VERSION} does not know.",
            details={"path": path, "manifest_format": written_format, "known_format": FORMAT},
        )
    realm_id, backend, created = fields.get("realm_id"), fields.get("backend"), fields.get("created_at")
    if not isinstance(realm_id, str) or backend not in get_args(BackendName) or not str(created).isdecimal():
        raise _damaged(path, "has no usable realm_id, backend or created_at")
    origin = fields.get("origin")
    return Manifest(
        realm_id=RealmId(realm_id),
        backend=cast(BackendName, backend),
        origin=cast(Origin, origin) if origin in get_args(Origin) else "explicit",
        created_at=int(str(created)),
        written_by=str(fields.get("written_by", "unknown")),
    )


def create(folder: str, manifest: Manifest) -> None:
    """Make the realm's folder and pin it. Durable when it returns; a crash leaves either all of it or nothing that
    `read` would take for a realm.

    Raises:
        OSError: nothing was made.
    """
    os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    fields = {
        "manifest_format": manifest.manifest_format,
        "realm_id": manifest.realm_id,
        "backend": manifest.backend,
        "origin": manifest.origin,
        "created_at": str(manifest.created_at),
        "written_by": manifest.written_by,
    }
    write_durably(os.path.join(folder, FILE_NAME), (json.dumps(fields, indent=2) + "\n").encode())
    sync_folder(os.path.dirname(folder))


def _damaged(path: str, what: str) -> RealmDamaged:
    return RealmDamaged(f"The realm manifest {what}: {path}.", details={"path": path})
