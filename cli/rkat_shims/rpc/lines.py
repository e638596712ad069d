"""Lines out of a stream of bytes, and what can be known of a line that is too long to be kept. No I/O.

A line that cannot become a frame any more is skipped while it comes, so that it costs no memory; its beginning is kept,
because that is where clients write a request's id.
"""

import json
import re

from meerkat_client.wire.limits import KIB, MAX_ID_BYTES, MAX_ID_INTEGER, MAX_REQUEST_FRAME, MIB

# A frame's worth of text has at most six times its size as JSON (each character as \uXXXX), and two for white space.
MAX_KEPT_LINE = 8 * MAX_REQUEST_FRAME
# The public contract's bound. Whoever sends more without a line's end does not speak this protocol.
MAX_LINE = 64 * MIB
# Where to look for the id of a line that is not kept.
HEAD_BYTES = 64 * KIB
# Of the brackets and strings in a head no honest one has more; each costs about a microsecond.
_MAX_TOKENS = 20_000

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)
_ID_VALUE = re.compile(rb'\s*:\s*(-?\d{1,19}(?=[\s,}])|"[^"\\]*(?:\\.[^"\\]*)*")', re.DOTALL)


class LongLine:
    """A line of which only the beginning was kept.

    Attributes:
        length: bytes so far.
        fatal: it is longer than any line may be; nothing follows.
    """

    __slots__ = ("fatal", "head", "length")

    def __init__(self, head: bytes, length: int, *, fatal: bool = False) -> None:
        self.head = head
        self.length = length
        self.fatal = fatal


class LineReader:
    """Cuts a stream of bytes into lines; what follows the last line's end is a line too, given by `finish`."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._long: LongLine | None = None
        self._dead = False

    @property
    def dead(self) -> bool:
        """Whether a line was longer than any may be, so that nothing is read any more."""
        return self._dead

    def feed(self, data: bytes) -> None:
        """Take received bytes."""
        if not self._dead:
            self._buffer += data

    def next(self) -> bytes | LongLine | None:
        """The next whole line without its end, or None when more bytes are needed."""
        if self._dead:
            return None
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            return self._unfinished()
        line = bytes(memoryview(self._buffer)[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        if self._long is None:
            return line
        long, self._long = self._long, None
        long.length += len(line)
        return long

    def finish(self) -> bytes | LongLine | None:
        """The stream has ended: its last line, if that had no end."""
        if self._dead or not (self._buffer or self._long):
            return None
        self._buffer += b"\n"
        return self.next()

    def _unfinished(self) -> LongLine | None:
        self._searched = len(self._buffer)
        if self._long is None:
            if self._searched <= MAX_KEPT_LINE:
                return None
            self._long = LongLine(bytes(memoryview(self._buffer)[:HEAD_BYTES]), 0)
        self._long.length += self._searched
        self._buffer.clear()
        self._searched = 0
        if self._long.length <= MAX_LINE:
            return None
        self._dead = True
        self._long.fatal = True
        return self._long


def usable_id(value: object) -> int | str | None:
    """`value` if it can be a request's id. A boolean is none, although Python counts it among the integers."""
    if type(value) is int:
        return value if -MAX_ID_INTEGER < value < MAX_ID_INTEGER else None
    if type(value) is str:
        try:
            return value if len(value.encode()) <= MAX_ID_BYTES else None
        except UnicodeEncodeError:
            return None
    return None


def id_in_head(head: bytes) -> int | str | None:
    """The id of a message of which only the beginning is known; None when it does not show there."""
    depth = 0
    for count, token in enumerate(_TOKEN.finditer(head)):
        text = token.group()
        if text in (b"{", b"["):
            depth += 1
        elif text in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and text == b'"id"' and (value := _ID_VALUE.match(head, token.end())):
            return _read_id(value.group(1))
        if count >= _MAX_TOKENS:
            break
    return None


def id_of_refused(line: bytes) -> int | str | None:
    """The id of a message that is no strict JSON but would pass for JSON elsewhere, such as one with a NaN.

    The client's own encoder may write such a thing, and it waits for an answer to that id.
    """
    if len(line) > MAX_REQUEST_FRAME:
        return id_in_head(line[:HEAD_BYTES])
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return usable_id(message.get("id")) if type(message) is dict else None


def _read_id(text: bytes) -> int | str | None:
    try:
        return usable_id(json.loads(text))
    except ValueError:
        return None
