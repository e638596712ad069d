"""Following a config: each generation is told once, in order, whoever made it."""

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ...errors import MeerkatError, RealmNotFound
from .cell import ConfigCell

# How soon an edit by hand is seen when nobody else uses the realm. Only realms that are watched are looked at.
LOOK_SECONDS = 2.0


async def follow(cell: ConfigCell, seen: int, *, changed: Callable[[dict[str, Any]], Awaitable[object]]) -> None:
    """Tell every generation after `seen`; returns when the realm is deleted. Cancellation: at any moment."""
    while True:
        try:
            version = cell.look()
        except RealmNotFound:
            return
        except MeerkatError:
            # Whoever uses the config is told why; a watch waits until it can be read again.
            await trio.sleep(LOOK_SECONDS)
            continue
        if version.generation == seen:
            with trio.move_on_after(LOOK_SECONDS):
                await cell.next_change()
            continue
        while seen < version.generation:
            seen += 1
            facts: dict[str, Any] = {"generation": seen}
            if version.problem is not None and seen == version.generation:
                facts["problem"] = version.problem().message
            await changed(facts)
