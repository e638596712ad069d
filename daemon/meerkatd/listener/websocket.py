"""The WebSocket door (RFC 6455) to the same protocol, for clients with nothing but a stock WebSocket library. No I/O.

Subprotocols: `meerkat.v1.cbor` (binary messages) and `meerkat.v1.json` (text messages), each one envelope per message.
Built on wsproto and not on trio-websocket, because that one cannot be limited: measured, 7 MB of 1-byte fragments cost
it 15 s of CPU, and empty fragments go on for ever. No extensions, so no decompression bombs.

This module imports wsproto and h11, some 30 ms, and is itself imported at the first `GET `.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from h11 import RemoteProtocolError as BadHttp
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import RemoteProtocolError

from meerkat_client.wire.faults import FrameTooLarge, MalformedFrame
from meerkat_client.wire.framing import decode, encode
from meerkat_client.wire.json_text import decode_json, encode_json
from meerkat_client.wire.limits import (
    MAX_REPLY_FRAME,
    MAX_REQUEST_FRAME,
    WS_MAX_FRAGMENTS,
    WS_MAX_FRAMES_PER_SECOND,
    WS_RECEIVE_CHUNK,
)

from ..protocol.codec import Control, Incoming, Item, Malformed

CBOR = "meerkat.v1.cbor"
JSON = "meerkat.v1.json"

MAX_HEAD_BYTES = 16 * 1024  # h11's own bound; ours only says when to stop waiting for the end
_HEAD_END = b"\r\n\r\n"


class Rejection(NamedTuple):
    """Why an upgrade is refused."""

    status: int
    reason: str


Gate = Callable[[Request], Rejection | None]


def no_browsers(request: Request) -> Rejection | None:
    """The gate of a Unix socket: nobody has business there who sends an Origin, that is a web page."""
    if any(name.lower() == b"origin" for name, _ in request.extra_headers):
        return Rejection(403, "Web pages may not connect: the request has an Origin header.")
    return None


class Handshake:
    """Reads one upgrade request and answers it. `codec` is set once it was accepted, `refused` once it was not."""

    def __init__(self, gate: Gate = no_browsers) -> None:
        self._gate = gate
        self._head = bytearray()
        self._ws = WSConnection(ConnectionType.SERVER)
        self.codec: WebSocketCodec | None = None
        self.refused = False

    def feed(self, data: bytes) -> bytes:
        """Take received bytes; the response once the request is whole, else nothing."""
        self._head += data
        end = self._head.find(_HEAD_END)
        if end < 0:
            return self._reject(Rejection(431, "The request is too large.")) if self._too_long() else b""
        if end + len(_HEAD_END) != len(self._head):
            return self._reject(Rejection(400, "Nothing may follow the upgrade request before its answer."))
        try:
            self._ws.receive_data(bytes(self._head))
            request = next(event for event in self._ws.events() if isinstance(event, Request))
        except RemoteProtocolError as error:
            status = getattr(error.event_hint, "status_code", 400)
            return self._reject(Rejection(status, f"This is no WebSocket upgrade: {error}."))
        except (BadHttp, ValueError, StopIteration):
            return self._reject(Rejection(400, "This is no well-formed request."))
        return self._answer(request)

    def _too_long(self) -> bool:
        return len(self._head) > MAX_HEAD_BYTES

    def _answer(self, request: Request) -> bytes:
        rejection = self._gate(request)
        if rejection is not None:
            return self._reject(rejection)
        chosen = next((name for name in request.subprotocols if name in (CBOR, JSON)), None)
        if chosen is None:
            return self._reject(Rejection(400, f"Offer one of the subprotocols {CBOR} and {JSON}."))
        response = self._ws.send(AcceptConnection(subprotocol=chosen))
        self.codec = WebSocketCodec(self._ws, text=chosen == JSON)
        return response

    def _reject(self, rejection: Rejection) -> bytes:
        self.refused = True
        body = f"{rejection.reason}\n".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        event = RejectConnection(status_code=rejection.status, headers=headers, has_body=True)
        fresh = WSConnection(ConnectionType.SERVER)
        return fresh.send(event) + fresh.send(RejectData(data=body))


class WebSocketCodec:
    """Codec of one upgraded connection.

    Args:
        ws: in state OPEN.
        text: JSON in text messages; else CBOR in binary ones.
    """

    chunk = WS_RECEIVE_CHUNK

    def __init__(self, ws: WSConnection, *, text: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._ws = ws
        self._text = text
        self._clock = clock
        self._parts: list[bytes] = []
        self._size = 0
        self._fragments = 0
        self._frames = 0
        self._second = 0
        self._ended = False
        self._close: int = CloseReason.GOING_AWAY

    @property
    def unfinished(self) -> int:
        return self._size or self._fragments

    def feed(self, data: bytes) -> list[Item]:
        items: list[Item] = []
        if self._is_over() or not data:
            return items
        self._ws.receive_data(data)
        # A broken stream comes out as a CloseConnection with the right code, so there is nothing to catch.
        for event in self._ws.events():
            items.extend(self._take(event))
            if self._is_over():
                break
        return items

    def encode(self, message: dict[str, Any]) -> bytes:
        body: str | bytes = encode_json(message) if self._text else encode(message)
        if len(body) > MAX_REPLY_FRAME:
            raise FrameTooLarge(
                f"The message has {len(body)} bytes.", details={"size": len(body), "limit": MAX_REPLY_FRAME}
            )
        if self._ws.state is not ConnectionState.OPEN:
            return b""
        return self._ws.send(TextMessage(data=body) if isinstance(body, str) else BytesMessage(data=body))

    def farewell(self) -> bytes:
        if self._ws.state is not ConnectionState.OPEN:
            return b""
        return self._ws.send(CloseConnection(code=self._close))

    def _is_over(self) -> bool:
        return self._ended

    def _take(self, event: Event) -> list[Item]:
        if not self._within_rate():
            return [self._fail("OVERLOADED", "Too many frames in one second.", CloseReason.POLICY_VIOLATION)]
        if isinstance(event, Ping):
            return [Control(self._ws.send(event.response()))]
        if isinstance(event, CloseConnection):
            self._ended = True
            return [Control(self._ws.send(event.response()), last=True)]
        if isinstance(event, Message):
            return self._message(event)
        return []

    def _within_rate(self) -> bool:
        second = int(self._clock())
        if second != self._second:
            self._second, self._frames = second, 0
        self._frames += 1
        return self._frames <= WS_MAX_FRAMES_PER_SECOND

    def _message(self, event: Message[Any]) -> list[Item]:
        if isinstance(event, TextMessage) is not self._text:
            kind = "text" if self._text else "binary"
            text = f"This subprotocol has {kind} messages only."
            return [self._fail("INVALID_REQUEST", text, CloseReason.UNSUPPORTED_DATA)]
        part = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
        self._size += len(part)
        if self._size > MAX_REQUEST_FRAME:
            text = f"The request is larger than {MAX_REQUEST_FRAME} bytes."
            return [self._fail("REQUEST_TOO_LARGE", text, CloseReason.MESSAGE_TOO_BIG)]
        if part:
            self._parts.append(part)
        if event.frame_finished:
            self._fragments += 1
            empty = not part and not event.message_finished
            if self._fragments > WS_MAX_FRAGMENTS or empty:
                text = f"A message may have {WS_MAX_FRAGMENTS} fragments, none of them empty."
                return [self._fail("INVALID_REQUEST", text, CloseReason.POLICY_VIOLATION)]
        return [self._whole()] if event.message_finished else []

    def _whole(self) -> Item:
        body = b"".join(self._parts)
        self._parts.clear()
        self._size = self._fragments = 0
        try:
            return Incoming(decode_json(body) if self._text else decode(body))
        except MalformedFrame as fault:
            return Malformed(fault.code, fault.message, details=fault.details)

    def _fail(self, code: str, message: str, close: int) -> Malformed:
        """End the connection; `farewell` makes the close frame, after which wsproto sends nothing more."""
        self._ended = True
        self._close = close
        self._parts.clear()
        return Malformed(code, message, fatal=True)
