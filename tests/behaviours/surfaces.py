"""Clients of every door, with one interface. They are written against the wire and not against our client, so that a
mistake in both halves does not cancel out; WebSocket is spoken by trio-websocket, which our own door does not use."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import cbor2
import trio
import trio_websocket


class Refused(Exception):
    """The daemon answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["data"]["code"], error["message"])
        self.number = error["code"]
        self.code = error["data"]["code"]
        self.message = error["message"]
        self.details = error["data"]["details"]


class Door(Protocol):
    """Messages in and out of one connection."""

    async def send(self, message: dict[str, Any]) -> None: ...

    async def receive(self) -> dict[str, Any]: ...


class Framed:
    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._buffer = b""

    async def send(self, message: dict[str, Any]) -> None:
        body = cbor2.dumps(message)
        await self._stream.send_all(len(body).to_bytes(4) + body)

    async def receive(self) -> dict[str, Any]:
        length = int.from_bytes(await self._exactly(4))
        return cbor2.loads(await self._exactly(length))

    async def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            data = await self._stream.receive_some()
            if not data:
                raise trio.ClosedResourceError
            self._buffer += data
        result, self._buffer = self._buffer[:count], self._buffer[count:]
        return result


class WebSocket:
    def __init__(self, connection: trio_websocket.WebSocketConnection, *, text: bool) -> None:
        self._connection = connection
        self._text = text

    async def send(self, message: dict[str, Any]) -> None:
        await self._connection.send_message(json.dumps(message) if self._text else cbor2.dumps(message))

    async def receive(self) -> dict[str, Any]:
        try:
            data = await self._connection.get_message()
        except trio_websocket.ConnectionClosed:
            raise trio.ClosedResourceError from None
        assert isinstance(data, str) is self._text
        return json.loads(data) if self._text else cbor2.loads(data)


@asynccontextmanager
async def open_door(surface: str, path: str) -> AsyncIterator[Door]:
    """Connect to the daemon's socket through one of its doors: framed, ws-cbor, ws-json."""
    stream = await trio.open_unix_socket(path)
    async with stream:
        if surface == "framed":
            yield Framed(stream)
            return
        text = surface == "ws-json"
        protocol = "meerkat.v1.json" if text else "meerkat.v1.cbor"
        async with trio.open_nursery() as nursery:
            connection = await trio_websocket.wrap_client_stream(
                nursery, stream, "localhost", "/", subprotocols=[protocol]
            )
            assert connection.subprotocol == protocol
            yield WebSocket(connection, text=text)
            nursery.cancel_scope.cancel()


class Peer:
    """A connected client: calls, notifications, and answers to what the daemon asks.

    Attributes:
        surface: what others are told that it comes through.
    """

    def __init__(self, door: Door, nursery: trio.Nursery, *, surface: str = "test") -> None:
        self.surface = surface
        self._door = door
        self._nursery = nursery
        self._ids = 0
        self._waiting: dict[int, tuple[trio.Event, list[dict[str, Any]]]] = {}
        self.order: list[tuple[str, Any]] = []
        self._changed = trio.Event()
        self.asked: list[dict[str, Any]] = []
        self.tool_answer: Any = None

    async def read(self) -> None:
        while True:
            try:
                message = await self._door.receive()
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                return
            if "method" not in message:
                self.order.append(("reply", message["id"]))
                event, slot = self._waiting[message["id"]]
                slot.append(message)
                event.set()
            elif "id" in message:
                self.asked.append(message)
                if self.tool_answer is not None:
                    await self._door.send({"jsonrpc": "2.0", "id": message["id"], "result": self.tool_answer})
            else:
                self.order.append((message["method"], message["params"]))
            self._changed.set()
            self._changed = trio.Event()

    async def begin(self, method: str, **params: Any) -> int:
        """Send a request; returns its id."""
        self._ids += 1
        self._waiting[self._ids] = (trio.Event(), [])
        await self._door.send({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params})
        return self._ids

    async def reply(self, request_id: int) -> Any:
        """The result of a request that was begun. Raises Refused."""
        event, slot = self._waiting[request_id]
        await event.wait()
        if "error" in slot[0]:
            raise Refused(slot[0]["error"])
        return slot[0]["result"]

    async def call(self, method: str, **params: Any) -> Any:
        return await self.reply(await self.begin(method, **params))

    async def notify(self, method: str, **params: Any) -> None:
        await self._door.send({"jsonrpc": "2.0", "method": method, "params": params})

    def seen(self, method: str) -> list[dict[str, Any]]:
        return [params for name, params in self.order if name == method]

    async def wait_for(self, condition: Any) -> None:
        """Wait until `condition()` holds; it is asked again after each message."""
        while not condition():
            await self._changed.wait()
