"""`GET /sessions/{session_id}/events`: a session's events from any place, as server-sent events.

session_loaded    first: {session_id, message_count, cursor, active_turn?}
...               one for each event, `id` its cursor, `event` its kind, `data` the whole envelope
stream_truncated  where events are missing, with how many
done              last, when the session's events end, or with `until=turn_end` the turn
error             last instead, when they cannot go on
"""

import re
from typing import Any

from meerkat_client.errors import RkatError

from .calls import Calls
from .events import Event, Feeds, Reader
from .params import JsonObject
from .sse import BEGINNING, DONE, encode_event

_CURSOR = re.compile(r"[0-9]{1,16}")
_TURN_ENDS = ("run_completed", "run_failed")
_GAP = "stream_truncated"
# What of a session is told first.
_LOADED = ("session_id", "message_count", "cursor", "active_turn")


def cursor_of(last_event_id: str | None) -> int | None:
    """The cursor in the header `Last-Event-ID`; an empty one is none.

    Raises:
        RkatError: INVALID_PARAMS.
    """
    if not last_event_id:
        return None
    if not _CURSOR.fullmatch(last_event_id):
        raise RkatError(
            "INVALID_PARAMS",
            "Last-Event-ID must be the id of an event of this stream.",
            details={"field": "last-event-id"},
        )
    return int(last_event_id)


class TurnEnd:
    """Recognises the end of the turn that was running when somebody began to follow.

    Args:
        turn: the facts of the running turn; None when there is none.
        latest: the session's cursor at that time.
    """

    def __init__(self, turn: dict[str, Any] | None, latest: int) -> None:
        self._turn = turn
        self.place = latest if turn is None else None

    def __repr__(self) -> str:
        return f"<TurnEnd place={self.place}>"

    def reached(self, place: int) -> bool:
        """Whether a reader at `place` has read all of the turn."""
        return self.place is not None and place >= self.place

    def look(self, event: Event) -> None:
        """Learn from an event where the turn ends."""
        if self._turn is None or self.place is not None or event.seq <= self._turn["cursor"]:
            return
        if event.kind in _TURN_ENDS:
            self.place = event.seq
        elif event.turn_id is not None and event.turn_id != self._turn["turn_id"]:
            # The end was in a gap.
            self.place = event.seq - 1

    def is_still(self, turn: dict[str, Any] | None, latest: int) -> None:
        """After a gap: which turn is running now."""
        if self.place is None and self._turn is not None and (turn or {}).get("turn_id") != self._turn["turn_id"]:
            self.place = latest


class SessionSource:
    """`sse.Source` of a session."""

    def __init__(self, calls: Calls, reader: Reader, info: dict[str, Any], until: TurnEnd | None) -> None:
        self._calls = calls
        self._reader = reader
        self._until = until
        self._session_id: str = info["session_id"]
        loaded = {name: info[name] for name in _LOADED if name in info}
        self._first: bytes | None = BEGINNING + encode_event("session_loaded", loaded)
        self._over = False

    @classmethod
    async def open(
        cls, calls: Calls, feeds: Feeds, params: JsonObject, *, last_event_id: str | None
    ) -> "SessionSource":
        """Begin to follow a session.

        Args:
            params: of `session/stream_open`.
            last_event_id: the header; it wins over `cursor`, for a client that comes back repeats its address.

        Raises:
            RkatError: SESSION_NOT_FOUND, STALE_CURSOR, INVALID_PARAMS.
        """
        until = params.pop("until", "closed")
        if until not in ("closed", "turn_end"):
            raise RkatError("INVALID_PARAMS", "until: must be closed or turn_end.", details={"field": "until"})
        returned = cursor_of(last_event_id)
        cursor = params.pop("cursor", None) if returned is None else returned
        info = await calls.read("session/read", {"session_id": params["session_id"]})
        turn, latest = info.get("active_turn"), info["cursor"]
        if cursor is None:
            cursor = turn["cursor"] if turn is not None else latest
        if not 0 <= cursor <= latest:
            raise RkatError(
                "STALE_CURSOR" if cursor > 0 else "INVALID_PARAMS",
                f"Cursor {cursor} is none of the session's; its last event is {latest}.",
                details={"session_id": info["session_id"], "cursor": cursor, "latest_cursor": latest},
            )
        reader = Reader(feeds, info["session_id"], cursor)
        try:
            await reader.opened()
        except BaseException:
            reader.close()
            raise
        return cls(calls, reader, info, TurnEnd(turn, latest) if until == "turn_end" else None)

    async def chunk(self) -> bytes | None:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._over:
            return None
        if self._until is not None and self._until.reached(self._reader.place):
            return self._last(b"")
        batch = await self._reader.next()
        if not batch:
            return self._last(b"")
        if self._until is None:
            return b"".join(event.text for event in batch)
        return await self._up_to_the_end(batch)

    async def _up_to_the_end(self, batch: list[Event]) -> bytes:
        assert self._until is not None, "only then there is an end"
        texts: list[bytes] = []
        for event in batch:
            self._until.look(event)
            if self._until.place is not None and event.seq > self._until.place:
                break
            texts.append(event.text)
        if any(event.kind == _GAP for event in batch) and self._until.place is None:
            info = await self._calls.read("session/read", {"session_id": self._session_id})
            self._until.is_still(info.get("active_turn"), info["cursor"])
        text = b"".join(texts)
        return self._last(text) if self._until.reached(batch[-1].seq) else text

    def _last(self, text: bytes) -> bytes:
        self._over = True
        return text + DONE

    def close(self) -> None:
        self._reader.close()
