"""Reading a log from some line to its end, and telling a write that a crash cut off from damage.

The log ends where its last commit ends. What follows may be

* nothing, or whole lines without a commit: the log was left in the middle of a write;
* a *torn* write: a line that is not sealed, then anything. It is cut off, for its writer was never answered;
* *damage*: a broken line that must have been whole once. Never skipped, never cut off.

A broken line is damage when (1) a later sealed line says by `synced` that it was on the disk, or (2) the caller knows
so, or (3) it has a beginning and an end, or sealed lines follow, and no sector is missing. For a power cut may keep any
of the sectors of a write that was not synced, but one that it did not keep reads as zeros, and no line of ours has a
zero byte. A line that is sealed and has a number that was used already is no line of the log: disks give back old
blocks.

So what can be lost without a word is the last write, by a change of its last line's first or last bytes; the index, if
it saw that line, is a witness even then.
"""

from collections.abc import Iterator
from itertools import chain, pairwise
from typing import BinaryIO, NamedTuple

from ...errors import MeerkatError
from ..file_faults import damaged
from .record import Head, crc_of, head, is_sealed, looks_whole, message_start, sealed_parts

# The unit that a disk writes whole or not at all.
SECTOR_BYTES = 512


class Line(NamedTuple):
    """A line of a committed transaction; `offset` of its first byte."""

    offset: int
    kind: str
    ordinal: int
    raw: bytes


class Transaction(NamedTuple):
    """A committed transaction: where its messages are, and its other lines."""

    messages: list[int]
    lines: list[Line]


class Scan:
    """One pass over a log.

    Args:
        path: for messages.
        file: open for reading.
        size, records, crc: bytes and lines that need not be read again, and the last one's crc.
        synced: this many bytes were on the disk once.

    Attributes (of the last commit so far):
        size: bytes up to its end.
        records: lines up to its end.
        crc: of its last line.
    """

    def __init__(
        self, path: str, file: BinaryIO, *, size: int = 0, records: int = 0, crc: str = "", synced: int = 0
    ) -> None:
        self._path = path
        self._file = file
        self.size = size
        self.records = records
        self.crc = crc
        self._synced = max(size, synced)

    def transactions(self) -> Iterator[Transaction]:
        """Every committed transaction.

        Raises:
            RealmDamaged: the log is not what was written.
            OSError: it cannot be read.
        """
        self._file.seek(self.size)
        offset, number = self.size, self.records
        pending = Transaction([], [])
        for raw in self._file:
            sealed = is_sealed(raw)
            # Nearly all lines are messages, and parsing them takes longer than all the rest.
            if sealed and raw.startswith(message_start(number)):
                pending.messages.append(offset)
                offset += len(raw)
                number += 1
                continue
            found = head(raw) if sealed else None
            if found is None or found.n != number:
                self._judge(raw, offset, number)
                break
            pending.lines.append(Line(offset, found.kind, found.ordinal, raw))
            offset += len(raw)
            number += 1
            if found.commit:
                if found.commit != number - self.records:
                    raise damaged(self._path, "has a transaction of another length", line=number - 1)
                self.size, self.records, self.crc = offset, number, crc_of(raw)
                yield pending
                pending = Transaction([], [])
        if self.size < self._synced:
            raise self._broken(self.records)

    def _judge(self, raw: bytes, offset: int, number: int) -> None:
        """Return when what begins with `raw`, where line `number` should be, is the rest of a torn write."""
        whole = False
        for line in chain([raw], self._file):
            parts = list(sealed_parts(line))
            later = [part for part in parts if part.n >= number]
            if any(_proves(part, number) for part in later):
                raise self._broken(number)
            whole = whole or bool(later) or (not parts and looks_whole(line))
        if whole and not self._lacks_a_sector(offset):
            raise self._broken(number)

    def _lacks_a_sector(self, offset: int) -> bool:
        self._file.seek(offset)
        rest = self._file.read()
        first = SECTOR_BYTES - offset % SECTOR_BYTES
        edges = [0, *range(first, len(rest), SECTOR_BYTES), len(rest)]
        return any(not any(rest[start:end]) for start, end in pairwise(edges))

    def _broken(self, number: int) -> MeerkatError:
        return damaged(
            self._path,
            "is damaged",
            line=number,
            hint="Restore the file from a backup, or move the realm's folder away.",
        )


def _proves(found: Head, number: int) -> bool:
    return found.commit > 0 and found.synced > number
