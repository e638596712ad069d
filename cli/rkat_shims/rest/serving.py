"""Sockets and connections: Hypercorn's server for each connection, and around it what it does not bound.

- How many connections there are at a time.
- How long a client may refuse to take what is sent: Hypercorn shields its writes from cancellation, so a reader that
  stalls would keep the process from ending. Its socket is closed instead.
- One connection that fails in a way nobody thought of, which must not end the others.

A head that does not arrive whole is ended by Hypercorn's own timer of idle connections, one that is too large by h11.
"""

import logging
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, cast

import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app

from meerkat_client.errors import RkatError
from meerkat_client.wire.limits import BACKLOG, KIB, WRITE_STALL_SECONDS

log = logging.getLogger(__name__)

# Each may be a reader of events; a few hundred of those are a stated use.
MAX_CONNECTIONS: Final = 1024
# From the connection to the end of the first head, and between requests.
IDLE_SECONDS: Final = 15.0
# A head that comes in pieces; the guard bounds one that comes at once.
MAX_HEAD_BYTES: Final = 32 * KIB
# What answers that are under way get at the end; turns are told at once.
GRACE_SECONDS: Final = 3.0
# A piece that must be taken within WRITE_STALL_SECONDS.
_PIECE_BYTES: Final = 256 * KIB
_FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

App = Callable[[Any, Any, Any], Awaitable[None]]


async def listen(host: str, port: int) -> trio.SocketListener:
    """A listener at an IP address.

    Raises:
        RkatError: INVALID_PARAMS when the address cannot be had.
    """
    try:
        [listener] = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
    except OSError as error:
        raise RkatError(
            "INVALID_PARAMS",
            f"{address_of(host, port)} cannot be listened on: {error.strerror or error}.",
            hint="Choose another --port, or --port 0 for any free one.",
        ) from error
    return listener


def address_of(host: str, port: int) -> str:
    """An address as it stands in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Server:
    """Serves an application at a listener until it is told to end."""

    def __init__(self, app: App) -> None:
        self._config = _config()
        self._app = wrap_app(cast(Any, app), 0, "asgi")
        self._context = WorkerContext(None)
        self._streams: set[Stream] = set()

    def __repr__(self) -> str:
        return f"<Server connections={len(self._streams)}>"

    async def run(self, listener: trio.SocketListener, closing: trio.Event) -> None:
        """Serve until `closing` is set; then let answers go out, up to a deadline."""
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(
                    partial(trio.serve_listeners, self._serve, [listener], handler_nursery=connections)
                )
                await closing.wait()
                accepting.cancel_scope.cancel()
            await listener.aclose()
            # Wakes those that wait for their next request.
            await self._context.terminated.set()
            connections.start_soon(self._end_late_ones, connections.cancel_scope)

    async def _end_late_ones(self, scope: trio.CancelScope) -> None:
        with trio.move_on_after(GRACE_SECONDS):
            while self._streams:
                await next(iter(self._streams)).closed.wait()
        for stream in list(self._streams):
            stream.abort()
        scope.cancel()

    async def _serve(self, connected: trio.SocketStream) -> None:
        if len(self._streams) >= MAX_CONNECTIONS:
            with trio.move_on_after(1):
                await connected.send_all(_FULL)
            await trio.aclose_forcefully(connected)
            return
        stream = Stream(connected)
        self._streams.add(stream)
        try:
            await TCPServer(self._app, self._config, self._context, ConnectionState({}), cast(Any, stream)).run()
        except Exception as error:
            log.error("a connection failed unexpectedly", exc_info=error)
        finally:
            stream.abort()
            self._streams.discard(stream)
            stream.closed.set()


class Stream(trio.abc.HalfCloseableStream):
    """A connection that is given up when its peer takes nothing for too long.

    Attributes:
        socket: for its addresses.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self.socket = stream.socket
        self.closed = trio.Event()
        self._stream = stream
        # A peer that has vanished without a word is found out in the end.
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        while view:
            piece, view = view[:_PIECE_BYTES], view[_PIECE_BYTES:]
            with trio.move_on_after(WRITE_STALL_SECONDS) as scope:
                await self._stream.send_all(piece)
            if scope.cancelled_caught:
                self.abort()
                raise trio.BrokenResourceError("the client takes nothing")

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    def abort(self) -> None:
        """Close it now, whoever uses it."""
        self.socket.close()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _config() -> Config:
    config = Config()
    config.keep_alive_timeout = IDLE_SECONDS
    config.h11_max_incomplete_size = MAX_HEAD_BYTES
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("rkat_shims.rest.http")
    config.loglevel = "WARNING"
    return config
