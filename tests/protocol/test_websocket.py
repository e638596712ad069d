"""The WebSocket door: the same protocol for stock libraries, and what hostile ones get."""

import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from tests.lifecycle.echo_daemon import EchoDispatcher
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Request, TextMessage

from meerkat_client.wire.framing import decode, encode
from meerkat_client.wire.json_text import decode_json, encode_json
from meerkat_client.wire.limits import (
    HANDSHAKE_SECONDS,
    MAX_REQUEST_FRAME,
    WS_MAX_FRAGMENTS,
    WS_MAX_FRAMES_PER_SECOND,
)
from meerkatd.listener.unix import UnixListener
from meerkatd.listener.websocket import CBOR, JSON, Handshake
from meerkatd.protocol.codec import Malformed

Code = Callable[[Any], str]
Open = Callable[[], trio.SocketStream]


@pytest.fixture
async def opened(nursery: trio.Nursery) -> Open:
    """Opens connections to a Unix listener of this process."""
    listener = UnixListener(EchoDispatcher())

    def connect() -> trio.SocketStream:
        ours, theirs = socket.socketpair()
        listener._admit(theirs, nursery)
        ours.setblocking(False)
        return trio.SocketStream(trio.socket.from_stdlib_socket(ours))

    return connect


@asynccontextmanager
async def stock_client(stream: trio.SocketStream, subprotocol: str) -> AsyncIterator[WebSocketConnection]:
    """An independent implementation at the other end."""
    async with trio.open_nursery() as nursery:
        client = await wrap_client_stream(nursery, stream, "localhost", "/", subprotocols=["other", subprotocol])
        assert client.subprotocol == subprotocol
        yield client
        nursery.cancel_scope.cancel()


def asking(call_id: int, method: str, params: Any = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}


async def test_a_stock_client_speaks_json(opened: Open, code: Code) -> None:
    async with stock_client(opened(), JSON) as client:
        for message in (asking(0, "initialize"), asking(1, "echo", {"text": "é\n"})):
            await client.send_message(encode_json(message))
        assert decode_json(await client.get_message())["id"] == 0
        assert decode_json(await client.get_message())["result"] == {"text": "é\n"}
        await client.send_message("{not json")
        reply = decode_json(await client.get_message())
        assert (reply["id"], code(reply)) == (None, "PARSE_ERROR")
        await client.ping()


async def test_a_stock_client_speaks_cbor(opened: Open) -> None:
    async with stock_client(opened(), CBOR) as client:
        await client.send_message(encode(asking(0, "initialize")))
        assert decode(await client.get_message())["id"] == 0
        big = {"text": "x" * 500_000}
        await client.send_message(encode(asking(1, "echo", big)))
        assert decode(await client.get_message())["result"] == big


async def test_the_wrong_kind_of_message_ends_the_connection(opened: Open) -> None:
    async with stock_client(opened(), CBOR) as client:
        await client.send_message("text")
        await client.get_message()
        with pytest.raises(ConnectionClosed) as caught:
            await client.get_message()
        assert caught.value.reason.code == 1003


async def test_a_connection_that_the_daemon_closes_says_goodbye(opened: Open) -> None:
    async with stock_client(opened(), JSON) as client:
        await client.send_message(encode_json(asking(0, "initialize")))
        await client.send_message(encode_json(asking(1, "close")))
        await client.get_message()
        assert decode_json(await client.get_message())["result"] == "bye"
        with pytest.raises(ConnectionClosed) as caught:
            await client.get_message()
        assert caught.value.reason.code == 1001


def upgrade(*extra: str, subprotocol: str = JSON, host: str = "Host: localhost") -> bytes:
    lines = [
        "GET / HTTP/1.1", host, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Sec-WebSocket-Protocol: {subprotocol}", *extra,
    ]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def answer_to(stream: trio.SocketStream, data: bytes) -> bytes:
    await stream.send_all(data)
    received = b""
    with trio.fail_after(10):
        while b"\r\n\r\n" not in received and (chunk := await stream.receive_some()):
            received += chunk
    return received


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (upgrade("Origin: https://example.org"), b"403"),
        (upgrade("origin: null"), b"403"),
        (upgrade(subprotocol="chat"), b"400"),
        (upgrade(host="X: y"), b"400"),
        (upgrade("Host: other"), b"400"),
        (upgrade() + b"\x81\x80....", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        (upgrade().replace(b"Version: 13", b"Version: 8"), b"426"),
        (b"GET \x00\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 20_000, b"431"),
        (upgrade().replace(b"Host: localhost", b"Host: \xff\xfe"), b"400"),
    ],
)
async def test_a_request_that_is_no_honest_upgrade_is_refused(
    opened: Open, request_bytes: bytes, status: bytes
) -> None:
    """Any web page can make a browser connect to a port; the Origin header gives it away."""
    stream = opened()
    assert (await answer_to(stream, request_bytes)).startswith(b"HTTP/1.1 " + status)
    with contextlib.suppress(trio.BrokenResourceError):  # a reset, when not all of the request was read
        assert await stream.receive_some() == b""


async def test_an_upgrade_may_arrive_byte_by_byte(opened: Open) -> None:
    stream = opened()
    for byte in upgrade()[:-1]:
        await stream.send_all(bytes([byte]))
    answer = await answer_to(stream, b"\n")
    assert answer.startswith(b"HTTP/1.1 101")
    assert b"permessage-deflate" not in answer


async def test_compression_is_never_agreed_to(opened: Open) -> None:
    answer = await answer_to(opened(), upgrade("Sec-WebSocket-Extensions: permessage-deflate"))
    assert answer.startswith(b"HTTP/1.1 101")
    assert b"Extensions" not in answer


@pytest.mark.parametrize("start", [b"", b"GE", b"GET / HTTP/1.1\r\n"])
async def test_a_handshake_that_never_ends_is_cut_off(autojump_clock: Any, opened: Open, start: bytes) -> None:
    stream = opened()
    if start:
        await stream.send_all(start)
    assert await stream.receive_some() == b""
    assert HANDSHAKE_SECONDS <= trio.current_time() < HANDSHAKE_SECONDS + 1


class Hostile:
    """The server's codec and a client's half that sends what it likes; no I/O, so CPU is all that is spent."""

    def __init__(self, *, text: bool = True) -> None:
        self.client = WSConnection(ConnectionType.CLIENT)
        handshake = Handshake()
        offer = Request(host="localhost", target="/", subprotocols=[JSON if text else CBOR])
        self.client.receive_data(handshake.feed(self.client.send(offer)))
        assert [type(event) for event in self.client.events()] == [AcceptConnection]
        assert handshake.codec is not None
        self.codec = handshake.codec
        self.now = 0.0
        self.codec._clock = lambda: self.now

    def fault(self, data: bytes) -> tuple[str, int] | None:
        """The code of the fault and of the close frame that end the connection, if any does."""
        for item in self.codec.feed(data):
            if isinstance(item, Malformed) and item.fatal:
                self.client.receive_data(self.codec.farewell())
                (closed,) = [event for event in self.client.events() if isinstance(event, CloseConnection)]
                return item.code, int(closed.code)
        return None


@pytest.mark.parametrize("part", ["x", ""], ids=["tiny", "empty"])
def test_a_message_of_too_many_fragments_ends_the_connection(part: str) -> None:
    """Measured without a limit: 7 MB of 1-byte fragments cost 15 s, and empty ones go on for ever."""
    hostile = Hostile()
    fragments = [
        hostile.client.send(TextMessage(data=part, message_finished=False)) for _ in range(WS_MAX_FRAGMENTS + 2)
    ]
    faults = [hostile.fault(fragment) for fragment in fragments]
    assert [fault for fault in faults if fault] == [("INVALID_REQUEST", 1008)]
    assert hostile.codec.feed(fragments[-1]) == []


def test_a_message_of_a_few_fragments_passes() -> None:
    hostile = Hostile()
    whole = encode_json({"a": 1})
    data = b"".join(
        hostile.client.send(TextMessage(data=char, message_finished=number == len(whole)))
        for number, char in enumerate(whole, 1)
    )
    (item,) = hostile.codec.feed(data)
    assert item.message == {"a": 1}  # type: ignore[union-attr]


def test_a_message_above_the_limit_ends_the_connection_before_it_is_whole() -> None:
    hostile = Hostile(text=False)
    data = hostile.client.send(BytesMessage(data=bytes(MAX_REQUEST_FRAME + 100)))
    assert hostile.fault(data[:-50]) == ("REQUEST_TOO_LARGE", 1009)


def test_a_frame_that_announces_gigabytes_costs_nothing() -> None:
    hostile = Hostile(text=False)
    header = b"\x82\xff" + (2**62).to_bytes(8) + b"mask"
    assert hostile.fault(header) is None
    assert hostile.fault(bytes(MAX_REQUEST_FRAME + 1)) == ("REQUEST_TOO_LARGE", 1009)


def test_a_flood_of_frames_ends_the_connection() -> None:
    hostile = Hostile()
    ping = hostile.client.send(Ping())
    assert hostile.fault(ping * WS_MAX_FRAMES_PER_SECOND) is None
    hostile.now += 1
    assert hostile.fault(ping * WS_MAX_FRAMES_PER_SECOND) is None
    assert hostile.fault(ping) == ("OVERLOADED", 1008)


@pytest.mark.parametrize(
    "data", [b"\x81\x01x", b"\xc1\x80mask", b"\x83\x80mask", b"\x09\x80mask", b"\x80\x80mask"],
    ids=["unmasked", "reserved bit", "unknown opcode", "fragmented ping", "continuation of nothing"],
)  # fmt: skip
def test_a_broken_stream_is_closed(data: bytes) -> None:
    hostile = Hostile()
    (item,) = hostile.codec.feed(data)
    hostile.client.receive_data(item.data)  # type: ignore[union-attr]
    (closed,) = [event for event in hostile.client.events() if isinstance(event, CloseConnection)]
    assert closed.code == 1002
    assert item.last  # type: ignore[union-attr]
