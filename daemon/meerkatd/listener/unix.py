"""The Unix socket: accepts, checks who it is, tells the two doors apart, and hands over to the protocol.

A connection whose first bytes are `GET ` is a WebSocket upgrade; as the length of a frame they would be 1.1 GB, so the
two can never be confused. Peers of another user are closed without a word: the directory and the socket's mode keep
them out already, and this is the check that does not depend on either.
"""

import errno
import itertools
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from meerkat_client.wire.limits import HANDSHAKE_SECONDS, MAX_CONNECTIONS
from meerkat_client.wire.peer import Credentials, peer_credentials

from ..protocol.codec import Codec
from ..protocol.port import Dispatcher
from ..protocol.pump import ConnectionPump, serve_connection
from .framed import FramedCodec

if TYPE_CHECKING:
    # Costs 30 ms to import; see `websocket`.
    from .websocket import Gate

logger = logging.getLogger(__name__)

_SNIFF_BYTES = 4
_SNIFF_CHUNK = 16 * 1024
_GET = b"GET "
# Out of descriptors: accepting again at once would only spin.
_ACCEPT_PAUSE_SECONDS = 0.1
# A notice goes into the outbox at once, unless that is full of what the client does not read.
LEAVE_SECONDS = 0.5
_TRANSIENT = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS))

WhoIs = Callable[[socket.socket], Credentials]
# Finds out the codec of a new connection, and what was read for it; None when the peer has to go.
Greet = Callable[[socket.socket], Awaitable[tuple[Codec, bytes] | None]]


class UnixListener:
    """Accepts connections from listening sockets, and knows those that are alive.

    Args:
        dispatcher: makes the methods' side of each connection.
        who_is: tells the peer's credentials.
        greet: lets a peer in, or not.
        max_connections: above this a new connection is closed at once.
        local: whether those who get in are told to the methods as this user's own programs.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        who_is: WhoIs = peer_credentials,
        greet: Greet | None = None,
        max_connections: int = MAX_CONNECTIONS,
        local: bool = True,
    ) -> None:
        self._dispatcher = dispatcher
        self._who_is = who_is
        self._greet = greet or _greet
        self._max_connections = max_connections
        self._local = local
        self._numbers = itertools.count(1)
        self._open = 0
        self._accepted = 0
        self._pumps: set[ConnectionPump] = set()

    def __repr__(self) -> str:
        return f"<UnixListener connections={self._open}>"

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._open

    @property
    def accepted(self) -> int:
        """How many there have ever been."""
        return self._accepted

    async def accept(self, listening: socket.socket, connections: trio.Nursery) -> None:
        """Accept until cancelled; each connection becomes a task in `connections`.

        Cancelling this leaves the connections and the socket alone, so that a daemon can stop accepting and drain, or
        go on accepting later.
        """
        while True:
            await trio.lowlevel.wait_readable(listening)
            try:
                sock, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                continue
            except OSError as error:
                if error.errno not in _TRANSIENT:
                    raise
                logger.exception("cannot accept")
                await trio.sleep(_ACCEPT_PAUSE_SECONDS)
                continue
            self._accepted += 1
            self._admit(sock, connections)

    async def leave(self, reason: str) -> None:
        """Tell every connection that nothing is begun any more; see `ConnectionPump.leave`.

        Waits for no client that does not read: such a one finds out when it is closed.
        """
        with trio.move_on_after(LEAVE_SECONDS):
            async with trio.open_nursery() as telling:
                for pump in list(self._pumps):
                    telling.start_soon(pump.leave, reason)

    def cancel_calls(self) -> None:
        """Break off every call that is in flight."""
        for pump in list(self._pumps):
            pump.cancel_calls()

    def beside(self, greet: Greet, *, max_connections: int) -> "UnixListener":
        """A listener of a door of another kind, where peers show by `greet` who they are.

        `quiet` of this one waits for its connections, too.
        """
        other = UnixListener(
            self._dispatcher, who_is=_unknown, greet=greet, max_connections=max_connections, local=False
        )
        other._pumps, other._numbers = self._pumps, self._numbers
        return other

    async def quiet(self) -> None:
        """Wait until no open connection has a call in flight or an unwritten reply."""
        while busy := [pump for pump in self._pumps if pump.busy]:
            await busy[0].quiet()

    def _admit(self, sock: socket.socket, connections: trio.Nursery) -> None:
        sock.setblocking(False)
        try:
            peer = self._who_is(sock)
        except OSError as error:
            # macOS does not know the peer of a connection that has gone already.
            logger.info("a peer left before it was known", extra={"errno": error.errno})
            sock.close()
            return
        if peer.uid != os.geteuid():
            logger.warning("refused another user", extra={"peer_uid": peer.uid, "peer_pid": peer.pid})
            sock.close()
            return
        if self._open >= self._max_connections:
            logger.warning("refused: too many connections", extra={"limit": self._max_connections})
            sock.close()
            return
        self._open += 1
        connections.start_soon(self._serve, sock, peer.pid, name=f"c{next(self._numbers)}")

    async def _serve(self, sock: socket.socket, pid: int | None) -> None:
        name = trio.lowlevel.current_task().name
        try:
            with sock:
                greeting = await self._greet(sock)
                if greeting is None:
                    return
                codec, received = greeting
                pump = ConnectionPump(sock, codec, name=name, pid=pid, local=self._local)
                self._pumps.add(pump)
                try:
                    await serve_connection(pump, self._dispatcher, received)
                finally:
                    self._pumps.discard(pump)
        finally:
            self._open -= 1


def _unknown(_: socket.socket) -> Credentials:
    """Nobody knows who is at the other end of TCP; a token takes the place of the kernel's word."""
    return Credentials(None, os.geteuid())


async def greet_web(sock: socket.socket, gate: "Gate") -> tuple[Codec, bytes] | None:
    """A WebSocket upgrade that passes `gate`, or None when the peer has to go."""
    with trio.move_on_after(HANDSHAKE_SECONDS):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return await _upgrade(sock, await _receive(sock), gate)
    return None


async def _greet(sock: socket.socket) -> tuple[Codec, bytes] | None:
    """Find out which door; the codec and what was read for it, or None when the peer has to go."""
    with trio.move_on_after(HANDSHAKE_SECONDS):
        received = b""
        while len(received) < _SNIFF_BYTES:
            data = await _receive(sock)
            if not data:
                return None
            received += data
        if not received.startswith(_GET):
            return FramedCodec(), received
        return await _upgrade(sock, received)
    return None


async def _upgrade(sock: socket.socket, received: bytes, gate: "Gate | None" = None) -> tuple[Codec, bytes] | None:
    from .websocket import Handshake, no_browsers

    handshake = Handshake(gate or no_browsers)
    while received:
        response = handshake.feed(received)
        if response and not await _send(sock, response):
            return None
        if handshake.codec is not None:
            return handshake.codec, b""
        if handshake.refused:
            return None
        received = await _receive(sock)
    return None


async def _receive(sock: socket.socket) -> bytes:
    """Some bytes; none when the peer is gone."""
    while True:
        await trio.lowlevel.wait_readable(sock)
        try:
            return sock.recv(_SNIFF_CHUNK)
        except (BlockingIOError, InterruptedError):
            continue
        except OSError:
            return b""


async def _send(sock: socket.socket, data: bytes) -> bool:
    """Send all of `data`; whether that worked."""
    while data:
        try:
            data = data[sock.send(data) :]
        except (BlockingIOError, InterruptedError):
            await trio.lowlevel.wait_writable(sock)
        except OSError:
            return False
    return True
