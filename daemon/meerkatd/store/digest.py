"""One number for all that a session is, the same in every backend.

SHA-256 over the session's row, its messages, turns, tool calls, charges and approvals, each as a line of canonical JSON
(keys sorted, no spaces, nothing escaped but what must be), messages byte for byte as they are stored. Shared messages
count like own ones, so a fork that is stored as a copy has the digest of one that shares.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from .api import RealmStore, SessionRow
from .parts import sessions_of

# So few that a turn that waits for this does not feel it.
_ROWS = 100
_BYTES = 1 << 20


async def digests(store: RealmStore) -> Mapping[str, str]:
    """The digest of every session, by id. For a store that nobody writes to meanwhile; raises as it does."""
    return {row.session_id: await session_digest(store, row) async for row, _ in sessions_of(store)}


async def session_digest(store: RealmStore, row: SessionRow) -> str:
    """`row` is the session's as it is now."""
    total = hashlib.sha256()
    _add(total, row)
    offset = 0
    while offset < row.message_count:
        page = await store.messages(row.session_id, offset=offset, limit=_ROWS, max_bytes=_BYTES)
        for body in page.bodies:
            data = body.encode()
            total.update(b"message %d\n" % len(data) + data)
        offset += len(page.bodies)
    for offset in range(0, row.turn_count, _ROWS):
        for turn in await store.turns(row.session_id, offset=offset, limit=_ROWS):
            _add(total, turn)
            for tool in await store.tools(turn.turn_id):
                _add(total, tool)
    offset = 0
    while charges := await store.charges(row.session_id, offset=offset, limit=_ROWS):
        for charge in charges:
            _add(total, charge)
        offset += len(charges)
    for approval in await store.approvals(session_id=row.session_id, limit=1 << 62):
        _add(total, approval)
    return total.hexdigest()


def _add(total: Any, row: Any) -> None:
    fields = json.dumps(asdict(row), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    total.update(f"{type(row).__name__} {fields}\n".encode())
