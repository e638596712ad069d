"""Idempotency keys: the same key with the same params gives the first outcome again.

While the first request is under way its key is held in memory, so that two of them that come together cannot both
run; from its commit on it is in the store, so that it counts after a crash as well.
"""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from ..errors import DuplicateInput
from ..store.api import KeyRow, RealmStore


def digest_of(method: str, params: dict[str, Any]) -> str:
    """What a request asks for, as a hash: equal for equal requests, whatever the order of their fields."""
    document = json.dumps([method, params], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(document.encode()).hexdigest()


class Keys:
    """The idempotency keys of one realm."""

    def __init__(self) -> None:
        self._under_way: dict[str, trio.Event] = {}

    @asynccontextmanager
    async def claim(self, store: RealmStore | None, key: str, *, digest: str) -> AsyncIterator[KeyRow | None]:
        """Hold `key` while its request is admitted. Gives the row of an earlier request with this key, or None.

        A second request with a key that is being claimed waits until the first one is admitted (milliseconds).

        Raises:
            DuplicateInput: the earlier request was a different one.
        """
        while (earlier := self._under_way.get(key)) is not None:
            await earlier.wait()
        claimed = self._under_way[key] = trio.Event()
        try:
            row = await store.key(key) if store is not None else None
            if row is not None and row.digest != digest:
                raise DuplicateInput(
                    f"The idempotency key {key!r} was used for a different {row.method} request.",
                    details={"idempotency_key": key, "method": row.method, "session_id": row.session_id},
                )
            yield row
        finally:
            del self._under_way[key]
            claimed.set()
