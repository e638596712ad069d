"""`rkat-rest` in this process, over a daemon in this process, and a client of it that is not ours.

Requests are written by h11, whose server side Hypercorn uses, or as plain bytes where they have to be wrong.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h11
import trio

from meerkat_client._async.link import Link
from meerkat_client.options import ConnectOptions
from meerkat_client.tools import Toolbox
from rkat_shims.rest.__main__ import make_shim
from rkat_shims.rest.app import Door, Shim
from rkat_shims.rest.options import Options
from rkat_shims.rest.serving import Server, listen
from rkat_shims.rest.token import Token

if TYPE_CHECKING:
    # The house knows this door.
    from tests.support.house import House

TOKEN = "of-this-test-" + "0" * 40


@dataclass
class Reply:
    """A whole response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"])


@dataclass
class SseEvent:
    """One event as the standard's reader sees it."""

    kind: str
    data: Any
    id: str | None


class Sse:
    """Reads server-sent events off a response that does not end."""

    def __init__(self, connection: "Connection", reply: Reply) -> None:
        self.reply = reply
        self.comments = 0
        self.last_id: str | None = None
        self._connection = connection
        self._text = b""

    async def next(self) -> SseEvent | None:
        """The next event; None at the end of the response."""
        while True:
            block, found, rest = self._text.partition(b"\n\n")
            if not found:
                data = await self._connection.data()
                if data is None:
                    return None
                self._text += data
                continue
            self._text = rest
            event = self._parsed(block.decode())
            if event is not None:
                return event

    async def until(self, kind: str) -> list[SseEvent]:
        """Events up to the first of a kind, which is the last of them."""
        found = []
        while True:
            event = await self.next()
            assert event is not None, f"it ended after {[each.kind for each in found]}"
            found.append(event)
            if event.kind == kind:
                return found

    def _parsed(self, block: str) -> SseEvent | None:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            if name == "":
                self.comments += 1
            else:
                fields[name] = value
        self.last_id = fields.get("id", self.last_id)
        if "data" not in fields:
            return None
        return SseEvent(fields["event"], json.loads(fields["data"]), fields.get("id"))


class Connection:
    """One connection of a client."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._h11 = h11.Connection(h11.CLIENT)

    async def ask(self, verb: str, target: str, headers: list[tuple[str, str]], body: bytes = b"") -> Reply:
        """Send a request, and take the response's head."""
        if body:
            headers = [*headers, ("content-length", str(len(body)))]
        data = self._h11.send(h11.Request(method=verb, target=target, headers=headers))
        if body:
            data += self._h11.send(h11.Data(body))
        await self.stream.send_all(data + self._h11.send(h11.EndOfMessage()))
        head = await self._next()
        while isinstance(head, h11.InformationalResponse):
            head = await self._next()
        assert isinstance(head, h11.Response), head
        return Reply(head.status_code, {k.decode(): v.decode() for k, v in head.headers}, b"")

    async def whole(self, reply: Reply) -> Reply:
        """The response with its body."""
        while (data := await self.data()) is not None:
            reply.body += data
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        return reply

    async def data(self) -> bytes | None:
        event = await self._next()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    async def _next(self) -> Any:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            self._h11.receive_data(await self.stream.receive_some())
        return event


class Rest:
    """A running `rkat-rest`.

    Attributes:
        shim: what it is made of, for a test that looks inside.
    """

    def __init__(self, port: int, closing: trio.Event, shim: Shim) -> None:
        self.port = port
        self.closing = closing
        self.shim = shim

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        try:
            yield Connection(stream)
        finally:
            await trio.aclose_forcefully(stream)

    def headers(self, more: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
        """What a proper request has; `more` on top, and without those that it gives as empty."""
        all_headers = {"host": self.host, "authorization": f"Bearer {TOKEN}", **(more or {})}
        return [(name, value) for name, value in all_headers.items() if value]

    async def ask(self, verb: str, target: str, body: Any = None, **headers: str) -> Reply:
        """One request on a connection of its own. Headers by their names, `_` for `-`."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        text = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        if text:
            more.setdefault("content-type", "application/json")
        async with self.connected() as connection:
            return await connection.whole(await connection.ask(verb, target, self.headers(more), text))

    async def get(self, target: str, **headers: str) -> Any:
        """The result of a GET that succeeds."""
        reply = await self.ask("GET", target, **headers)
        assert reply.status == 200, reply
        return reply.json

    async def post(self, target: str, body: Any = None, **headers: str) -> Any:
        """The result of a POST that succeeds."""
        reply = await self.ask("POST", target, body, **headers)
        assert reply.status == 200, reply
        return reply.json

    @asynccontextmanager
    async def events(self, target: str, **headers: str) -> AsyncIterator[Sse]:
        """A stream of events."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.connected() as connection:
            reply = await connection.ask("GET", target, self.headers(more))
            assert reply.status == 200, await connection.whole(reply)
            assert reply.headers["content-type"].startswith("text/event-stream")
            yield Sse(connection, reply)


@asynccontextmanager
async def running_rest(house: "House", **options: Any) -> AsyncIterator[Rest]:
    """An `rkat-rest` of the house's daemon, with these options of its command line."""
    async with serving(house.settings.state_root, {}, **options) as rest:
        yield rest


@asynccontextmanager
async def serving(state_root: str, connect: ConnectOptions, **options: Any) -> AsyncIterator[Rest]:
    """An `rkat-rest` of the daemon of a state root. Ends with the block, as it would by a signal.

    Args:
        connect: how its link is opened, beside what the options say.
    """
    chosen = Options(port=0, state_root=state_root, **options)
    # There is a daemon in this process; another one would hide a mistake.
    link = Link({**chosen.connect, "start": False, **connect}, Toolbox())
    listener = await listen(chosen.host, 0)
    await link.open()
    try:
        async with trio.open_nursery() as nursery:
            closing = trio.Event()
            shim = make_shim(chosen, link, Token(TOKEN.encode(), "nowhere", "nowhere"), nursery, closing)
            ended = trio.Event()

            async def serve() -> None:
                try:
                    await Server(Door(shim)).run(listener, closing)
                finally:
                    ended.set()

            nursery.start_soon(serve)
            try:
                yield Rest(listener.socket.getsockname()[1], closing, shim)
            finally:
                with trio.CancelScope(shield=True):
                    closing.set()
                    link.close()
                    await ended.wait()
                    nursery.cancel_scope.cancel()
    finally:
        link.close()
        await link.leave()
