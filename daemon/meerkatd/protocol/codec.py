"""What a door does to bytes, and nothing more: the seam between listener and protocol. No I/O.

A codec turns received bytes into items and messages into bytes. Framed CBOR and WebSocket are two codecs for one pump.
"""

from typing import Any, Protocol


class Incoming:
    """One well-formed message, decoded but not looked at."""

    __slots__ = ("message",)

    def __init__(self, message: Any) -> None:
        self.message = message


class Malformed:
    """Bytes that are no message. The peer is told with `id: null`; when `fatal`, the connection ends after that.

    Attributes:
        code: one of the error table.
    """

    __slots__ = ("code", "details", "fatal", "message")

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        fatal: bool = False,
    ) -> None:
        self.code = code
        self.message = message
        self.details = details or {}
        self.fatal = fatal


class Control:
    """Bytes that the transport itself has to answer with, such as a pong; with `last`, the end of the connection."""

    __slots__ = ("data", "last")

    def __init__(self, data: bytes, *, last: bool = False) -> None:
        self.data = data
        self.last = last


Item = Incoming | Malformed | Control


class Codec(Protocol):
    """One connection's two directions."""

    @property
    def chunk(self) -> int:
        """How many bytes to receive at once."""
        ...

    @property
    def unfinished(self) -> int:
        """Size of the message that has begun and is not whole, as far as it is known; 0 between messages."""
        ...

    def feed(self, data: bytes) -> list[Item]:
        """What `data` completes, in order. Nothing follows a fatal or last item."""
        ...

    def encode(self, message: dict[str, Any]) -> bytes:
        """Bytes for one message.

        Raises:
            NotEncodable: a value that the wire cannot carry.
            FrameTooLarge: above the limit for replies.
        """
        ...

    def farewell(self) -> bytes:
        """Bytes to write before the connection is closed from our side; to be asked for after the last `encode`."""
        ...
