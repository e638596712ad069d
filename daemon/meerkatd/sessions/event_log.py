"""The events of one session: one bounded log, and any number of readers, each with a place in it.

Readers hold a cursor into one shared log instead of a queue each, so two hundred of them cost no more memory than one,
and a slow one never holds up the turn. `append` is synchronous: publishing an event cannot block and cannot fail.

When the log is over its bounds its oldest events are folded: neighbouring text (or reasoning) deltas become one event
that carries their whole text and the number of the last of them. A reader that comes new reads the folded event and has
missed nothing; a reader that was in the middle of what has been folded is told how many events it missed.
"""

from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import trio

from ..contract.event import EventEnvelope, EventPayload
from ..ids import Cursor, uuid7
from ..instruments import EVENT_LAG, EVENTS_DROPPED

# A turn of 20,000 tokens fits; what is older is still there in folded form.
MAX_EVENTS = 20_000
# About 16 MiB of Python objects at the most, however large single events are.
MAX_BYTES = 8 * 1024 * 1024
# Folded text is what somebody who attaches late has to read at once.
MAX_FOLDED_BYTES = 4 * 1024 * 1024
# A page's events: with their envelopes they stay well below what a reply may have.
PAGE_BYTES = 8 * 1024 * 1024
# An event's envelope and its dictionaries, beside its text.
_EVENT_OVERHEAD = 200


@dataclass(slots=True)
class _Event:
    seq: int
    event_id: str
    at_ms: int
    payload: EventPayload
    weight: int


@dataclass(slots=True)
class _Folded:
    """Events `first` to `last`. `text` is None for an event that is no delta and stands for itself alone."""

    first: int
    last: int
    event: _Event
    text: list[str] | None = field(default=None)

    def envelope_event(self) -> _Event:
        if self.text is None:
            return self.event
        payload = cast(EventPayload, {"type": self.event.payload["type"], "delta": "".join(self.text)})
        return _Event(self.last, self.event.event_id, self.event.at_ms, payload, self.event.weight)


class EventLog:
    """The log of one session.

    Args:
        session_id: for the envelopes.
        last_seq: number of the last event given out before, in this process or an earlier one.
        now_ms: the clock.
    """

    def __init__(self, session_id: str, *, last_seq: int, now_ms: Callable[[], int]) -> None:
        self._session_id = session_id
        self._now_ms = now_ms
        self._last = last_seq
        # Events up to here are gone; a reader behind it has missed something.
        self._gone = last_seq
        self._folded: deque[_Folded] = deque()
        self._folded_bytes = 0
        self._events: deque[_Event] = deque()
        self._bytes = 0
        self._changed = trio.Event()
        self._closed = False
        self.readers = 0

    def __repr__(self) -> str:
        return f"<EventLog {self._session_id} last={self._last} held={len(self._events)} readers={self.readers}>"

    @property
    def last(self) -> Cursor:
        """Cursor of the newest event."""
        return Cursor(self._last)

    @property
    def weight(self) -> int:
        """Roughly how many bytes the events take that are here."""
        return self._bytes + self._folded_bytes

    def append(self, payload: EventPayload) -> Cursor:
        """Publish an event; returns its cursor."""
        self._last += 1
        weight = _EVENT_OVERHEAD + _text_bytes(payload)
        self._events.append(_Event(self._last, uuid7(), self._now_ms(), payload, weight))
        self._bytes += weight
        while len(self._events) > MAX_EVENTS or self._bytes > MAX_BYTES:
            self._fold()
        if self._changed.statistics().tasks_waiting:
            self._changed.set()
            self._changed = trio.Event()
        return self.last

    def close(self) -> None:
        """No more events: each reader's iteration ends when it has read everything."""
        self._closed = True
        self.wake()

    def wake(self) -> None:
        """Let every waiting reader look again at what it waits for."""
        self._changed.set()
        self._changed = trio.Event()

    def forget_before(self, cursor: Cursor) -> None:
        """Drop events up to `cursor`; a reader that lags behind it is told."""
        while self._folded and self._folded[0].last <= cursor:
            self._drop_folded()
        while self._events and self._events[0].seq <= cursor:
            event = self._events.popleft()
            self._bytes -= event.weight
            self._gone = event.seq

    def since(self, after: int, *, limit: int) -> list[EventEnvelope]:
        """The events after cursor `after` that are here now, oldest first: at most `limit`, and at least one of those
        that there are even when it alone exceeds `PAGE_BYTES`. Those that are gone are told by a `stream_truncated`."""
        page: list[EventEnvelope] = []
        room = PAGE_BYTES
        while len(page) < limit and (event := self._next(after)) is not None:
            room -= _EVENT_OVERHEAD + _text_bytes(event.payload)
            if room < 0 and page:
                break
            page.append(self._envelope(event))
            after = event.seq
        return page

    async def follow(
        self, after: int, *, until: Callable[[], int | None] | None = None
    ) -> AsyncGenerator[EventEnvelope, None]:
        """Every event after cursor `after`, as it comes.

        Args:
            after: the last event that the reader has; 0 for all that there is.
            until: asked before each event; the iteration ends when it has read up to what this returns. None, and
                `until` returning None, mean: go on.

        Cancellation: safe at any time; nothing is consumed.
        """
        place = after
        self.readers += 1
        try:
            while True:
                # First, since there may be later events already: a reader that is slow must not get those of the next
                # turn.
                end = until() if until is not None else None
                if end is not None and place >= end:
                    return
                event, place_before = self._next(place), place
                if event is None:
                    if self._closed:
                        return
                    await self._changed.wait()
                    continue
                if event.payload["type"] != "stream_truncated":
                    await trio.lowlevel.checkpoint_if_cancelled()
                else:
                    EVENTS_DROPPED.add(amount=event.seq - place)
                EVENT_LAG.observe(self._last - event.seq)
                place = event.seq
                assert place > place_before
                yield self._envelope(event)
        finally:
            self.readers -= 1

    def _next(self, place: int) -> _Event | None:
        if place >= self._last:
            return None
        if self._events and place >= self._events[0].seq - 1:
            # The usual case. Numbers in `_events` are dense, so a place is an index.
            return self._events[place - self._events[0].seq + 1]
        if place < self._gone:
            return self._gap(place, self._gone)
        for folded in self._folded:
            if place < folded.first:
                return folded.envelope_event()
            if place < folded.last:
                return self._gap(place, folded.last)
        raise AssertionError("an event is gone, folded, or in the list of the newest")

    def _gap(self, place: int, upto: int) -> _Event:
        payload: Any = {"type": "stream_truncated", "reason": {"kind": "stream_lagged", "dropped": upto - place}}
        return _Event(upto, uuid7(), self._now_ms(), payload, 0)

    def _envelope(self, event: _Event) -> EventEnvelope:
        return {
            "event_id": event.event_id,
            "source": {"type": "session", "session_id": self._session_id},
            "seq": event.seq,
            "timestamp_ms": event.at_ms,
            "payload": event.payload,
        }

    def _fold(self) -> None:
        event = self._events.popleft()
        self._bytes -= event.weight
        payload = event.payload
        delta = _delta(payload)
        newest = self._folded[-1] if self._folded else None
        if (
            delta is not None
            and newest is not None
            and newest.text is not None
            and newest.event.payload["type"] == payload["type"]
        ):
            newest.text.append(delta)
            newest.last = event.seq
        else:
            self._folded.append(_Folded(event.seq, event.seq, event, None if delta is None else [delta]))
        self._folded_bytes += event.weight - (_EVENT_OVERHEAD if delta is not None else 0)
        while self._folded_bytes > MAX_FOLDED_BYTES and self._folded:
            self._drop_folded()

    def _drop_folded(self) -> None:
        folded = self._folded.popleft()
        self._gone = folded.last
        weight = sum(map(len, folded.text)) if folded.text is not None else folded.event.weight
        self._folded_bytes = max(0, self._folded_bytes - weight)


def _delta(payload: EventPayload) -> str | None:
    """The text of an event that can be folded into its neighbour; None of any other."""
    return cast(dict[str, Any], payload).get("delta")


def _text_bytes(payload: EventPayload) -> int:
    """Roughly how much memory the strings of `payload` take."""
    delta = _delta(payload)
    return len(delta) if delta is not None else _weigh(payload)


def _weigh(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_weigh, value.values()))
    if isinstance(value, list):
        return sum(map(_weigh, value))
    return 8
