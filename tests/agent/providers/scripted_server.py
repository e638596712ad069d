"""An HTTP/1.1 server that does, request by request, what a test tells it to: also to be silent, to lie and to hang up.

It runs in the test's own loop, so a test sees the moment at which the client closes the connection.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import trio


@dataclass(frozen=True, slots=True)
class SeenRequest:
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Exchange:
    """One request and the server's side of its connection."""

    def __init__(self, request: SeenRequest, stream: trio.abc.Stream) -> None:
        self.request = request
        self._stream = stream

    async def head(self, status: int = 200, **headers: str) -> None:
        """Status and headers; an event stream unless told otherwise."""
        lines = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        text = f"HTTP/1.1 {status} Told\r\n" + "".join(f"{key}: {value}\r\n" for key, value in lines.items())
        await self._stream.send_all(text.encode() + b"\r\n")

    async def chunk(self, data: bytes) -> None:
        await self._stream.send_all(b"%x\r\n%s\r\n" % (len(data), data))

    async def events(self, datas: Sequence[str]) -> None:
        for data in datas:
            await self.chunk(f"data: {data}\n\n".encode())

    async def end(self) -> None:
        await self._stream.send_all(b"0\r\n\r\n")

    async def answer(self, datas: Sequence[str]) -> None:
        await self.head()
        await self.events(datas)
        await self.end()

    async def refuse(self, status: int, body: str, **headers: str) -> None:
        await self.head(status, content_type="application/json", **headers)
        await self.chunk(body.encode())
        await self.end()

    async def client_closes(self) -> None:
        """Wait until the client has closed the connection."""
        try:
            while await self._stream.receive_some():
                pass
        except trio.BrokenResourceError:
            return

    async def drop(self) -> None:
        await self._stream.aclose()


Handler = Callable[[Exchange], Awaitable[None]]


class ScriptedServer:
    """Serves one handler for each request, in order; the last one serves all further requests too.

    Attributes:
        requests: what arrived, in order.
        connections: how many connections were made.
        finished: number of handlers that came to their end.
    """

    def __init__(self, handlers: Sequence[Handler]) -> None:
        self._handlers = list(handlers)
        self.requests: list[SeenRequest] = []
        self.connections = 0
        self.finished = 0
        self.url = ""

    async def start(self, nursery: trio.Nursery) -> "ScriptedServer":
        listeners = await nursery.start(trio.serve_tcp, self.serve, 0)
        port = listeners[0].socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        number = self.connections
        buffer = b""
        try:
            while True:
                while b"\r\n\r\n" not in buffer:
                    more = await stream.receive_some()
                    if not more:
                        return
                    buffer += more
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                first, *lines = head.decode().split("\r\n")
                headers = {key.lower(): value for key, value in (line.split(": ", 1) for line in lines)}
                while len(buffer) < int(headers.get("content-length", "0")):
                    buffer += await stream.receive_some()
                body, buffer = buffer, b""
                request = SeenRequest(first.split()[1], headers, body, number)
                self.requests.append(request)
                handler = self._handlers.pop(0) if len(self._handlers) > 1 else self._handlers[0]
                await handler(Exchange(request, stream))
                self.finished += 1
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
