"""The framed door: a 4-byte length and strict CBOR, both ways. No I/O."""

from typing import Any

from meerkat_client.wire.faults import MalformedFrame
from meerkat_client.wire.framing import FrameReader, Oversized, decode, encode_frame
from meerkat_client.wire.limits import MAX_DISCARD, MAX_REPLY_FRAME, MAX_REQUEST_FRAME, RECEIVE_CHUNK

from ..protocol.codec import Incoming, Item, Malformed


class FramedCodec:
    """Codec of one framed connection. A malformed frame costs that frame only: its length told where it ends."""

    chunk = RECEIVE_CHUNK

    def __init__(self) -> None:
        self._reader = FrameReader(MAX_REQUEST_FRAME, max_discard=MAX_DISCARD)

    @property
    def unfinished(self) -> int:
        return self._reader.unfinished

    def feed(self, data: bytes) -> list[Item]:
        self._reader.feed(data)
        items: list[Item] = []
        while (body := self._reader.next()) is not None:
            items.append(_too_large(body) if isinstance(body, Oversized) else _decoded(body))
        return items

    def encode(self, message: dict[str, Any]) -> bytes:
        return encode_frame(message, MAX_REPLY_FRAME)

    def farewell(self) -> bytes:
        return b""


def _decoded(body: bytes) -> Item:
    try:
        return Incoming(decode(body))
    except MalformedFrame as fault:
        return Malformed(fault.code, fault.message, details=fault.details)


def _too_large(body: Oversized) -> Malformed:
    return Malformed(
        "REQUEST_TOO_LARGE",
        f"The request has {body.length} bytes; a frame may have {MAX_REQUEST_FRAME}.",
        details={"size": body.length, "limit": MAX_REQUEST_FRAME},
        fatal=body.fatal,
    )
