"""`GET /config/watch`: new generations of the realm's config as server-sent events.

    config_loaded     first: {realm_id, generation}
    config_changed    `id` the generation; generations that follow each other closely may come as one
    done              last, when the realm was deleted
    error             last instead, when the watch cannot go on

One watch of the daemon's serves all readers, for as long as there are any. `Last-Event-ID` is the generation that a
reader knows: when it is not that of now, the reader is told at once.
"""

from typing import Any

import trio

from meerkat_client._async.connection import Connection
from meerkat_client._async.link import Link
from meerkat_client.errors import RkatError
from meerkat_client.following import Losses

from .following import cursor_of
from .sse import BEGINNING, DONE, encode_event


class Watch:
    """The config's newest generation.

    Attributes:
        facts: what was told last: realm_id, generation, and problem when there is one. None before the first.
        changes: how often that changed since the watch began.
    """

    def __init__(self, link: Link, nursery: trio.Nursery) -> None:
        self._link = link
        self._nursery = nursery
        self._readers = 0
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.facts: dict[str, Any] | None = None
        self.changes = 0
        self.over = False
        self.error: RkatError | None = None
        self._changed = trio.Event()
        self._scope = trio.CancelScope()

    def enter(self) -> None:
        """One more reader."""
        self._readers += 1
        if self._readers == 1 or self.over:
            self._begin_anew()
            self._nursery.start_soon(self._run, self._scope)

    def leave(self) -> None:
        """One reader less; without any the watch ends."""
        self._readers -= 1
        if self._readers == 0:
            self._scope.cancel()

    async def wait(self) -> None:
        """Until there is something new."""
        await self._changed.wait()

    async def _run(self, scope: trio.CancelScope) -> None:
        losses = Losses()
        with scope:
            while not self.over:
                try:
                    await self._follow(losses)
                    self.over = True
                except RkatError as error:
                    self._lost(losses, error)
            self._wake()

    def _lost(self, losses: Losses, error: RkatError) -> None:
        try:
            losses.count(error)
        except RkatError as final:
            self.error, self.over = final, True

    async def _follow(self, losses: Losses) -> None:
        """Watch over one connection, until the daemon ends the watch."""
        connection = await self._link.stream_connection()
        try:
            began = await connection.call("config/watch")
            self._take(began)
            await self._notifications(connection, losses)
        finally:
            self._link.end_stream(connection)

    async def _notifications(self, connection: Connection, losses: Losses) -> None:
        while True:
            notification = await connection.next_notification(lambda: False)
            assert notification is not None, "it only ends when asked to"
            losses.reset()
            if notification.method == "config/watch_end":
                return
            if notification.method == "config/changed":
                self._take(notification.params)

    def _take(self, told: dict[str, Any]) -> None:
        facts: dict[str, Any] = {name: told[name] for name in ("realm_id", "generation", "problem") if name in told}
        if facts != self.facts:
            self.facts = facts
            self.changes += 1
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class WatchSource:
    """`sse.Source` of the config's generations, for one reader."""

    def __init__(self, watch: Watch, known: int | None) -> None:
        self._known = known
        self._watch = watch
        self._seen = 0
        self._over = False
        watch.enter()

    @classmethod
    async def open(cls, watch: Watch, *, last_event_id: str | None) -> "WatchSource":
        """Begin to watch.

        Raises:
            RkatError: INVALID_PARAMS, or why there can be no watch.
        """
        source = cls(watch, cursor_of(last_event_id))
        try:
            while watch.facts is None and not watch.over:
                await watch.wait()
            if watch.facts is None and watch.error is not None:
                raise watch.error
        except BaseException:
            source.close()
            raise
        return source

    async def chunk(self) -> bytes | None:
        watch = self._watch
        while watch.facts is None or watch.changes == self._seen:
            if watch.over:
                return self._last()
            await watch.wait()
        first, self._seen = self._seen == 0, watch.changes
        facts = watch.facts
        if first:
            return BEGINNING + encode_event("config_loaded", facts) + self._missed(facts)
        return encode_event("config_changed", facts, event_id=facts["generation"])

    def _missed(self, facts: dict[str, Any]) -> bytes:
        if self._known is None or self._known == facts["generation"]:
            return b""
        return encode_event("config_changed", facts, event_id=facts["generation"])

    def _last(self) -> bytes | None:
        if self._over:
            return None
        self._over = True
        if self._watch.error is not None:
            raise self._watch.error
        return DONE

    def close(self) -> None:
        self._watch.leave()
