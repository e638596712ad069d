"""Which messages of a session are stored with other sessions. No I/O here.

A fork shares the messages that it begins with: it says where they are, and copies nothing, so it takes as long and as
much space for a million messages as for ten. A *lineage* is a sequence of `(source, end)`, ends rising: messages from
the end before up to `end` are the source's own, under the same numbers; those past the last end are the session's own.
It is flat, so reading a fork of a fork of a fork takes one look-up and not three. Messages are never changed, and
sessions never deleted one by one, so what is shared stays as it is; an archived source keeps its messages.

A source is whatever a backend tells sessions by.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

Source = TypeVar("Source")


def shared(lineage: tuple[tuple[Source, int], ...]) -> int:
    """How many messages are other sessions'."""
    return lineage[-1][1] if lineage else 0


def check_sources(lineage: Sequence[tuple[Source, int]], counts: Mapping[Source, int]) -> None:
    """Raises KeyError when a source has no count, ValueError when it has fewer messages, or when ends do not rise."""
    start = 0
    for source, end in lineage:
        if not start < end <= counts[source]:
            raise ValueError(f"session {source} has no messages {start} to {end - 1} to share")
        start = end


def forked(lineage: tuple[tuple[Source, int], ...], own: Source, count: int) -> tuple[tuple[Source, int], ...]:
    """The lineage of a fork that takes `count` messages of the session `own`, which has `lineage`."""
    taken: list[tuple[Source, int]] = []
    start = 0
    for source, end in (*lineage, (own, max(count, shared(lineage)))):
        if start < min(end, count):
            taken.append((source, min(end, count)))
        start = end
    return tuple(taken)


def spans(
    lineage: tuple[tuple[Source, int], ...], own: Source, start: int, stop: int
) -> Iterator[tuple[Source, int, int]]:
    """Where messages `start` to `stop` - 1 of the session `own` are: `(source, start, stop)`, in order."""
    place = bisect_right(lineage, start, key=lambda segment: segment[1])
    while start < stop:
        source, end = lineage[place] if place < len(lineage) else (own, stop)
        yield source, start, min(end, stop)
        start = end
        place += 1
