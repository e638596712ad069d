"""Identifiers and the rules for them.

Realm ids: 1-64 characters `[A-Za-z0-9_-]`, the first one a letter or digit, and not shaped like a UUID, so that
`realm:uuid` and a bare uuid stay unambiguous. Workspace realms are `ws-` and 16 hex digits: FNV-1a 64 (offset basis
cbf29ce484222325, prime 100000001b3; the Fowler-Noll-Vo hash as given in RFC 9923) over the UTF-8 bytes of the
canonical path, which is the public Meerkat rule, so both programs derive the same id from the same folder.
"""

import hashlib
import os
import re
import time
import uuid
from typing import NewType

from .errors import InvalidParams

RealmId = NewType("RealmId", str)
SessionId = NewType("SessionId", str)
TurnId = NewType("TurnId", str)
Generation = NewType("Generation", int)
Cursor = NewType("Cursor", int)

_REALM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
REALM_ID_RULE = "1-64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit, and not a UUID"

_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3


def uuid7() -> str:
    """A fresh UUID version 7 (RFC 9562, 5.7) as canonical lower-case text; sorts by creation time."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def new_session_id() -> SessionId:
    return SessionId(uuid7())


def new_turn_id() -> TurnId:
    return TurnId(uuid7())


def generated_realm_id() -> RealmId:
    return RealmId(f"realm-{uuid7()}")


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in any spelling that the standard library accepts."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def parse_realm_id(text: str) -> RealmId:
    """Check an explicit realm id.

    Raises:
        InvalidParams: with the rule, when the id does not follow it.
    """
    if not _REALM_ID.fullmatch(text) or is_uuid(text):
        raise InvalidParams(
            f"realm_id {text!r} is not allowed: it must be {REALM_ID_RULE}.",
            details={"field": "realm_id", "rule": REALM_ID_RULE},
        )
    return RealmId(text)


def fnv1a_64(data: bytes) -> int:
    """FNV-1a, 64 bits."""
    value = _FNV_OFFSET
    for byte in data:
        value = (value ^ byte) * _FNV_PRIME & 0xFFFF_FFFF_FFFF_FFFF
    return value


def workspace_realm_id(path: str) -> RealmId:
    """The stable realm of a workspace folder; `path` is made canonical first (symlinks resolved)."""
    canonical = os.path.realpath(path)
    return RealmId(f"ws-{fnv1a_64(os.fsencode(canonical)):016x}")


def realm_folder_name(realm_id: RealmId) -> str:
    """The folder of a realm below the state root.

    Lower-case with a digest of the exact id: two ids that differ only in case stay two folders also on a file system
    that ignores case. The manifest inside repeats the id and must match.
    """
    return f"{realm_id.lower()}-{hashlib.sha256(realm_id.encode()).hexdigest()[:8]}"
