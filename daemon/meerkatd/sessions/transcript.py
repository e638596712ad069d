"""The committed messages of a session as the agent reads them, kept in memory between turns.

A turn must not cost more the longer its session is, so the messages are read from the store once and then grow with
each commit. The memory for it is bounded for each realm: `TranscriptMemory` forgets the ones that were used longest
ago, and all of them when the realm has been idle.
"""

import json
from array import array
from collections import OrderedDict
from collections.abc import Sequence

import trio

from ..contract.message import Message
from ..store.api import RealmStore
from .images import images_in

# Bytes of stored JSON of all transcripts of a realm; in memory they take about four times as much. They are given back
# when their realm has been idle for a while. Less than what one session may have would make long sessions that take
# turns read each other out of memory: measured, 1.5 s for each turn of one with 100,000 messages.
MEMORY_BYTES = 64 * 1024 * 1024
# One session alone may be larger, or each of its turns would read all of it again. 64 MiB of JSON are some 16 million
# tokens, several times what any model takes.
SINGLE_BYTES = 64 * 1024 * 1024
_PAGE_MESSAGES = 500
_PAGE_BYTES = 4 * 1024 * 1024


class Transcript:
    """Messages 0, 1, 2, ... of one session, and how many bytes of JSON they were read from."""

    __slots__ = ("_ends", "images", "messages", "weight")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.weight = 0
        self._ends = array("Q")
        # (number of the message, blob id) of each image.
        self.images: list[tuple[int, str]] = []

    def extend(self, messages: Sequence[Message], bodies: Sequence[str]) -> None:
        for number, message in enumerate(messages, start=len(self.messages)):
            self.images.extend((number, blob_id) for blob_id in images_in(message))
        self.messages.extend(messages)
        for body in bodies:
            self.weight += len(body)
            self._ends.append(self.weight)

    def first(self, count: int) -> "Transcript":
        """Another transcript that begins with the same messages, the same objects."""
        begun = Transcript()
        begun.messages = self.messages[:count]
        begun._ends = self._ends[:count]
        begun.weight = begun._ends[-1] if count else 0
        begun.images = [image for image in self.images if image[0] < count]
        return begun

    def chars_from(self, number: int) -> int:
        """Characters of JSON of the messages from a number on."""
        return self.weight - (self._ends[number - 1] if number else 0)


class TranscriptMemory:
    """Transcripts by session, the ones used longest ago forgotten first; the newest alone may be larger."""

    def __init__(self, *, max_bytes: int = MEMORY_BYTES, max_single_bytes: int = SINGLE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._max_single_bytes = max_single_bytes
        self._held: OrderedDict[str, Transcript] = OrderedDict()
        self._total = 0

    async def get(self, store: RealmStore, session_id: str) -> Transcript:
        """The transcript of a session, read from the store when it is not held.

        Only the session's one running turn may ask, so nothing is committed to it while it is being read.
        """
        held = self._held.get(session_id)
        if held is None:
            held = await _read(store, session_id, self._shared(await store.lineage(session_id)))
            self._held[session_id] = held
            self._total += held.weight
            self._shrink()
        else:
            self._held.move_to_end(session_id)
        return held

    def _shared(self, lineage: Sequence[tuple[str, int]]) -> Transcript:
        """What a fork begins with, as far as a session that it shares it with is held: the same objects, not copies.

        Its weight counts twice, which is too much, and never too little.
        """
        begun = Transcript()
        for source, end in lineage:
            held = self._held.get(source)
            if held is not None and len(held.messages) >= end:
                begun = held.first(end)
        return begun

    def extend(self, session_id: str, messages: Sequence[Message], bodies: Sequence[str]) -> None:
        """Add messages that were committed just now; nothing happens when the transcript is not held."""
        held = self._held.get(session_id)
        if held is None:
            return
        before = held.weight
        held.extend(messages, bodies)
        self._total += held.weight - before
        self._shrink()

    def forget(self, session_id: str) -> None:
        held = self._held.pop(session_id, None)
        if held is not None:
            self._total -= held.weight

    def clear(self) -> None:
        self._held.clear()
        self._total = 0

    def _shrink(self) -> None:
        while self._total > self._max_bytes and len(self._held) > 1:
            self.forget(next(iter(self._held)))
        if self._total > self._max_single_bytes:
            self.clear()


async def _read(store: RealmStore, session_id: str, transcript: Transcript) -> Transcript:
    """Read the rest of a transcript."""
    while True:
        page = await store.messages(
            session_id, offset=len(transcript.messages), limit=_PAGE_MESSAGES, max_bytes=_PAGE_BYTES
        )
        transcript.extend([json.loads(body) for body in page.bodies], page.bodies)
        if len(transcript.messages) >= page.total:
            return transcript
        # A long session is parsed in slices, so that others are served in between.
        await trio.lowlevel.checkpoint()
