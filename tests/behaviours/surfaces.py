"""Clients of every door, with one interface. They are written against the wire and not against our client, so that a
mistake in both halves does not cancel out; WebSocket is spoken by trio-websocket, which our own door does not use."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import cbor2
import trio
import trio_websocket
from tests.behaviours.mcp_door import open_mcp_door
from tests.behaviours.rest_door import open_rest_door
from tests.behaviours.sdk_door import SDKS, open_sdk_door
from tests.behaviours.ts_door import open_typescript_door

from meerkat_client.wire.limits import MAX_REPLY_FRAME
from meerkat_client.wire.version import CONTRACT_VERSION
from rkat_shims.rpc.loop import Loop
from rkat_shims.rpc.options import Options

# What the daemon's own doors are called, and the ways that lead through something of ours.
SURFACES = ("framed", "ws-cbor", "ws-json", "tcp", "rpc", "mcp", "rest", *SDKS, "ts")


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


class Lines:
    """`rkat-rpc`, on pipes as its clients have it but in a thread of this process: starting a process for each
    connection would cost more than everything else. Its command line says what `initialize` says elsewhere."""

    def __init__(self, state_root: str, nursery: trio.Nursery) -> None:
        self._state_root = state_root
        self._nursery = nursery
        self._stdin: trio.lowlevel.FdStream | None = None
        self._stdout: trio.lowlevel.FdStream | None = None
        self._started = trio.Event()
        self._buffer = b""

    async def send(self, message: dict[str, Any]) -> None:
        if message["method"] == "initialize" if "method" in message else False:
            await self._start(message["params"])
            message = {**message, "params": {}}
        elif self._stdin is None:
            await self._start({})
        assert self._stdin is not None
        await self._stdin.send_all(json.dumps(message).encode() + b"\n")

    async def receive(self) -> dict[str, Any]:
        await self._started.wait()
        while b"\n" not in self._buffer:
            assert self._stdout is not None
            data = await self._stdout.receive_some()
            if not data:
                raise trio.ClosedResourceError
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    async def _start(self, initialize: dict[str, Any]) -> None:
        if self._stdin is not None:
            return
        options = Options(
            realm=initialize.get("realm_id"),
            isolated=initialize.get("isolated", False),
            instance=initialize.get("instance_id"),
            backend=initialize.get("backend"),
            contract_version=initialize.get("contract_version", CONTRACT_VERSION),
            state_root=self._state_root,
        )
        (stdin, to_stdin), (from_stdout, stdout) = os.pipe(), os.pipe()
        self._stdin, self._stdout = trio.lowlevel.FdStream(to_stdin), trio.lowlevel.FdStream(from_stdout)
        self._nursery.start_soon(_loop, options, stdin, stdout)
        self._started.set()

    async def aclose(self) -> None:
        for stream in (self._stdin, self._stdout):
            if stream is not None:
                await trio.aclose_forcefully(stream)


async def _loop(options: Options, stdin: int, stdout: int) -> None:
    def run() -> None:
        try:
            Loop(options, stdin=stdin, stdout=stdout).run()
        finally:
            os.close(stdin)
            os.close(stdout)

    with trio.CancelScope(shield=True):
        await trio.to_thread.run_sync(run, limiter=_THREADS)


# A hundred at once are a stated use, and more than trio lets run by itself.
_THREADS = trio.CapacityLimiter(200)


class Ways:
    """The ways into one daemon: `framed`, `ws-cbor` and `ws-json` by its socket, `tcp` by a door, `rpc`, `mcp`
    and `rest` by `rkat-rpc`, `rkat-mcp` and `rkat-rest`.

    A context manager; the door on TCP is open while it is.
    """

    def __init__(self, state_root: str, socket_path: str) -> None:
        self._state_root = state_root
        self._socket_path = socket_path
        self._holder: trio.SocketStream | None = None
        self._door: dict[str, Any] = {}
        self._opening = trio.Lock()

    async def __aenter__(self) -> "Ways":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.forget()

    async def forget(self) -> None:
        """The daemon has ended, and its door with it."""
        if self._holder is not None:
            await trio.aclose_forcefully(self._holder)
        self._holder = None

    @property
    def urls(self) -> list[str]:
        """Of the doors that are open."""
        return [self._door["url"]] if self._holder is not None else []

    @asynccontextmanager
    async def open(self, surface: str) -> AsyncIterator[Door]:
        """A connection."""
        if surface == "rpc":
            async with trio.open_nursery() as nursery:
                lines = Lines(self._state_root, nursery)
                try:
                    yield lines
                finally:
                    await lines.aclose()
        elif surface in SDKS:
            async with open_sdk_door(surface, self._state_root) as client:
                yield client
        elif surface == "ts":
            async with open_typescript_door(self._state_root) as typed:
                yield typed
        elif surface == "mcp":
            async with open_mcp_door(self._state_root) as agents:
                yield agents
        elif surface == "rest":
            async with open_rest_door(self._state_root) as web:
                yield web
        elif surface == "tcp":
            door = await self.web()
            protocols = ["meerkat.v1.json", f"meerkat.token.{door['token']}"]
            async with trio_websocket.open_websocket_url(
                door["url"], subprotocols=protocols, max_message_size=MAX_REPLY_FRAME
            ) as connection:
                yield WebSocket(connection, text=True)
        else:
            async with await trio.open_unix_socket(self._socket_path) as stream, _local(surface, stream) as opened:
                yield opened

    async def web(self) -> dict[str, Any]:
        """The door on TCP: url and token. It is opened by a connection that does nothing else."""
        async with self._opening:
            if self._holder is None:
                self._holder = await trio.open_unix_socket(self._socket_path)
                framed = Framed(self._holder)
                for number, method in enumerate(("initialize", "daemon/listen")):
                    await framed.send({"jsonrpc": "2.0", "id": number, "method": method, "params": {}})
                    self._door = (await framed.receive())["result"]
                self._door["token"] = read_text(self._door["token_path"]).strip()
        return self._door


def read_text(path: str) -> str:
    return Path(path).read_text()


@asynccontextmanager
async def _local(surface: str, stream: trio.SocketStream) -> AsyncIterator[Door]:
    if surface == "framed":
        yield Framed(stream)
        return
    text = surface == "ws-json"
    protocol = "meerkat.v1.json" if text else "meerkat.v1.cbor"
    async with trio.open_nursery() as nursery:
        connection = await trio_websocket.wrap_client_stream(
            nursery, stream, "localhost", "/", subprotocols=[protocol], max_message_size=MAX_REPLY_FRAME
        )
        assert connection.subprotocol == protocol
        yield WebSocket(connection, text=text)
        nursery.cancel_scope.cancel()


class Peer:
    """A connected client: calls, notifications, and answers to what the daemon asks.

    Attributes:
        surface, client: what others are told of who it is.
    """

    def __init__(self, door: Door, nursery: trio.Nursery, *, surface: str = "test") -> None:
        self.surface = "sdk" if surface == "ts" else surface
        self.client = "rkat-rpc" if surface == "rpc" else "test"
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
