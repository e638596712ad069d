"""One daemon's protocol side in this process, and raw clients that speak to it through a socket pair."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from tests.lifecycle.echo_daemon import EchoDispatcher

from meerkat_client.wire.framing import FrameReader, decode, encode_frame
from meerkat_client.wire.limits import MAX_REPLY_FRAME
from meerkatd.listener.framed import FramedCodec
from meerkatd.protocol.codec import Codec
from meerkatd.protocol.pump import ConnectionPump, serve_connection


class RawClient:
    """Sends what it is told, well-formed or not, and reads frames."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        self._reader = FrameReader(MAX_REPLY_FRAME)

    async def send(self, message: Any) -> None:
        await self.stream.send_all(encode_frame(message, MAX_REPLY_FRAME))

    async def request(self, call_id: Any, method: str, params: Any = None) -> None:
        await self.send({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params})

    async def receive(self) -> Any:
        """The next message; None at the end."""
        with trio.fail_after(10):
            while (body := self._reader.next()) is None:
                data = await self.stream.receive_some()
                if not data:
                    return None
                self._reader.feed(data)
        return decode(body)

    async def call(self, call_id: Any, method: str, params: Any = None) -> Any:
        await self.request(call_id, method, params)
        return await self.receive()

    async def initialize(self) -> "RawClient":
        assert "result" in await self.call(0, "initialize", {})
        return self


class Door:
    """Opens connections to one dispatcher."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.dispatcher = EchoDispatcher()
        self.pumps: list[ConnectionPump] = []
        self._nursery = nursery

    def open(self, codec: Codec | None = None, *, received: bytes = b"") -> socket.socket:
        """A connected socket, whose other end is served."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        pump = ConnectionPump(theirs, codec or FramedCodec(), name=f"c{len(self.pumps) + 1}", pid=1)
        self.pumps.append(pump)
        self._nursery.start_soon(serve_connection, pump, self.dispatcher, received)
        return ours

    def raw(self) -> RawClient:
        return RawClient(self.open())

    async def ready(self) -> RawClient:
        return await self.raw().initialize()


@asynccontextmanager
async def open_door() -> AsyncIterator[Door]:
    async with trio.open_nursery() as nursery:
        yield Door(nursery)
        nursery.cancel_scope.cancel()


def code_of(reply: Any) -> str:
    """The string code of an error reply; it has to be a whole one."""
    error = reply["error"]
    assert set(error) == {"code", "message", "data"}
    assert {"hint", "retryable"} <= set(error["data"]["details"])
    return str(error["data"]["code"])
