"""Frames: a 4-byte big-endian length, then that many bytes of CBOR. No I/O.

Values are those of JSON (maps with text keys, arrays, text, integers, finite floats, booleans, null) and nothing
else, so that a message can be shown, stored and passed on as JSON anywhere.

Strictness is bought with cbor2's arguments; measured with its defaults: trailing bytes are ignored, duplicate keys
win silently, integer keys that collide cost 2.9 s for 258 KB, shared references blow 212 bytes up to 36 MB, tag 35
compiles a regular expression of the sender's choice. Tags are therefore denied, except that bignums (tags 2 and 3)
pass up to the range of a double: a model may well write such a number into the arguments of a tool.

The number of values is bounded too, by reading the heads before anything is built: decoding holds the GIL, and what
costs is not the bytes of a frame but the objects in it.
"""

import io
from typing import Any, Final

import cbor2

from .faults import FrameTooLarge, MalformedFrame, NotEncodable
from .limits import MAX_DEPTH, MAX_INTEGER_BYTES, MAX_VALUES

HEADER_BYTES: Final = 4
_BIGNUM_POSITIVE: Final = 2
_BIGNUM_NEGATIVE: Final = 3


def _deny(*_: object) -> Any:
    raise ValueError("tags are not allowed")


def _positive(value: Any, _immutable: bool) -> int:
    if type(value) is not bytes or len(value) > MAX_INTEGER_BYTES:
        raise ValueError("integer out of range")
    return int.from_bytes(value)


def _negative(value: Any, immutable: bool) -> int:
    return -1 - _positive(value, immutable)


# Every tag with a decoder in cbor2 must be named here: its own decoders come before `tag_hook`.
_TAGS: dict[int, Any] = dict.fromkeys((*range(300), 1004, 43000, 55799), _deny)
_TAGS[_BIGNUM_POSITIVE] = _positive
_TAGS[_BIGNUM_NEGATIVE] = _negative

_STRINGS = (2, 3)  # major types whose content follows as bytes
_SCALARS = frozenset((str, int, bool, type(None)))


def _require_plain(root: Any) -> None:
    """Refuse every value that JSON does not have. Iterative, so that its own depth is no matter."""
    stack = [root]
    while stack:
        value = stack.pop()
        kind = type(value)
        if kind in _SCALARS:
            continue
        if kind is dict:
            for key in value:
                if type(key) is not str:
                    raise MalformedFrame("A map has a key that is not text.")
            stack.extend(value.values())
        elif kind is list:
            stack.extend(value)
        elif kind is not float or value - value != 0:
            name = "a number that is not finite" if kind is float else f"a value of type {kind.__name__}"
            raise MalformedFrame(f"The message has {name}, which JSON does not know.")


def require_few(body: bytes) -> None:
    """Refuse a body of too many values, without building any. Heads that are not strict are the decoder's to refuse.

    Layout of a head (RFC 8949, 3): three bits of major type, five of length or of the number of bytes that tell it.

    Raises:
        MalformedFrame: more than MAX_VALUES.
    """
    if len(body) <= MAX_VALUES:
        return
    position, end, values = 0, len(body), 0
    while position < end:
        values += 1
        if values > MAX_VALUES:
            raise MalformedFrame(f"The message has more than {MAX_VALUES} values.")
        major, length = body[position] >> 5, body[position] & 31
        position += 1
        if length >= 24:
            if length > 27:
                return
            width = 1 << length - 24
            length = int.from_bytes(body[position : position + width])
            position += width
        if major in _STRINGS:
            position += length


def decode(body: bytes, *, trusted: bool = False) -> Any:
    """The one value that `body` is.

    Args:
        body: a frame without its header.
        trusted: spare the search for too many values and for values outside of JSON; for what our own daemon sent.

    Raises:
        MalformedFrame: not well-formed, not strict, or something after the value.
    """
    if not trusted:
        require_few(body)
    source = io.BytesIO(body)
    try:
        value = cbor2.CBORDecoder(
            source,
            tag_hook=_deny,
            semantic_decoders=_TAGS,
            max_depth=MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
        ).decode()
    except cbor2.CBORDecodeError as error:
        raise MalformedFrame(f"The frame is not strict CBOR: {error}.") from error
    if source.tell() != len(body):
        raise MalformedFrame("The frame has bytes after its value.")
    if not trusted:
        _require_plain(value)
    return value


def encode(message: Any) -> bytes:
    """The CBOR of `message`, without a header.

    Raises:
        NotEncodable: a lone surrogate, a cycle, or a type that CBOR does not have.
    """
    try:
        return cbor2.dumps(message)
    except UnicodeEncodeError as error:
        raise NotEncodable("A text has a lone surrogate, which no well-formed text can hold.") from error
    except cbor2.CBOREncodeError as error:
        raise NotEncodable(f"A value cannot be sent: {error}.") from error


def encode_frame(message: Any, limit: int) -> bytes:
    """`message` as one frame, header included.

    Raises:
        NotEncodable: see `encode`.
        FrameTooLarge: the body is above `limit` bytes.
    """
    body = encode(message)
    size = len(body)
    if size > limit:
        raise FrameTooLarge(
            f"The message has {size} bytes; a frame may have {limit}.", details={"size": size, "limit": limit}
        )
    return size.to_bytes(HEADER_BYTES) + body


def require_plain(params: Any) -> None:
    """Check before sending what the daemon would refuse after receiving.

    Raises:
        NotEncodable: a value that JSON does not have.
    """
    try:
        _require_plain(params)
    except MalformedFrame as error:
        raise NotEncodable(error.message) from error


class Oversized:
    """A frame that was announced above the limit. Its body is skipped, unless `fatal`: then nothing follows."""

    __slots__ = ("fatal", "length")

    def __init__(self, length: int, *, fatal: bool) -> None:
        self.length = length
        self.fatal = fatal


class FrameReader:
    """Cuts a stream of bytes into frame bodies.

    Args:
        limit: the largest body that is stored.
        max_discard: the largest body above `limit` that is skipped; a larger one ends the stream.
    """

    def __init__(self, limit: int, *, max_discard: int = 0) -> None:
        self._limit = limit
        self._max_discard = max_discard
        self._buffer = bytearray()
        self._skip = 0
        self._dead = False

    def feed(self, data: bytes) -> None:
        """Take received bytes. Bytes of a skipped body, or after a fatal frame, are dropped at once."""
        if self._dead:
            return
        if self._skip:
            dropped = min(self._skip, len(data))
            self._skip -= dropped
            data = data[dropped:]
        self._buffer += data

    def next(self) -> bytes | Oversized | None:
        """The next whole body, an `Oversized`, or None when more bytes are needed."""
        buffer = self._buffer
        if len(buffer) < HEADER_BYTES or self._dead:
            return None
        length = int.from_bytes(buffer[:HEADER_BYTES])
        if length > self._limit:
            return self._oversized(length)
        end = HEADER_BYTES + length
        if len(buffer) < end:
            return None
        body = bytes(memoryview(buffer)[HEADER_BYTES:end])
        del buffer[:end]
        return body

    def _oversized(self, length: int) -> Oversized:
        if length > self._max_discard:
            self._dead = True
            self._buffer.clear()
            return Oversized(length, fatal=True)
        dropped = min(length, len(self._buffer) - HEADER_BYTES)
        del self._buffer[: HEADER_BYTES + dropped]
        self._skip = length - dropped
        return Oversized(length, fatal=False)

    @property
    def unfinished(self) -> int:
        """Announced size of the frame that has begun and is not whole; 0 between frames."""
        if self._skip:
            return self._skip
        if not self._buffer:
            return 0
        if len(self._buffer) < HEADER_BYTES:
            return HEADER_BYTES
        return int.from_bytes(self._buffer[:HEADER_BYTES]) or 1
