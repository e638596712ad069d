"""Doors on loopback TCP, for clients that have no Unix sockets, such as web pages: WebSocket, behind `gate`.

A door is opened by a client of the Unix socket (`daemon/listen`), with a token of its own in a file that only this user
can read, and is there for as long as that client is connected. Then its name, its token and everybody who came through
it are gone: nobody can be inside of a closed door. Two clients that want one each have two, on two ports.

The token is 256 random bits, made when the door is opened, and is nowhere but in memory and in its file: not in a URL,
an argument or a log.
"""

import errno
import logging
import os
import secrets
import socket
from collections.abc import Sequence

import trio

from meerkat_client.wire.limits import BACKLOG, MAX_DOORS, MAX_WEB_CONNECTIONS

from ..errors import InvalidParams, InvalidRequest, MeerkatError, Overloaded, PermissionDenied
from ..protocol.codec import Codec
from ..protocol.port import Door
from .token_file import TokenFile
from .unix import UnixListener, greet_web

logger = logging.getLogger(__name__)

TOKEN_BYTES = 32
_REFUSALS: dict[int, type[MeerkatError]] = {
    errno.EADDRINUSE: InvalidParams,
    errno.EADDRNOTAVAIL: InvalidParams,
    errno.EAFNOSUPPORT: InvalidParams,
    errno.EACCES: PermissionDenied,
}


class LoopbackDoors:
    """The doors of one daemon. `run` is to be running before one is opened.

    Args:
        runtime_dir: where tokens are put.
    """

    def __init__(self, runtime_dir: str) -> None:
        self._listener: UnixListener | None = None
        self._runtime_dir = runtime_dir
        self._doors: set[LoopbackDoor] = set()
        self._nursery: trio.Nursery | None = None

    def __repr__(self) -> str:
        return f"<LoopbackDoors {sorted(self.urls)}>"

    @property
    def urls(self) -> list[str]:
        """Where the open doors are."""
        return [door.url for door in self._doors]

    @property
    def connections(self) -> int:
        return sum(door.connections for door in self._doors)

    async def run(
        self, listener: UnixListener, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve the doors that are opened, until cancelled; then all of them are closed.

        Args:
            listener: of the Unix socket; what comes through a door is waited for together with its connections.
        """
        TokenFile.remove_all(self._runtime_dir)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery, self._listener = nursery, listener
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None

    def open(self, host: str, port: int, *, origins: Sequence[str]) -> "LoopbackDoor":
        """See `protocol.port.Doors.open`."""
        if self._nursery is None or self._listener is None:
            raise InvalidRequest("The daemon is stopping and opens no doors.")
        if len(self._doors) >= MAX_DOORS:
            raise Overloaded(f"There are {MAX_DOORS} doors already.", hint="End a client that has opened one.")
        listening = _listening(host, port)
        try:
            token = TokenFile(self._runtime_dir, listening.getsockname()[1], secrets.token_urlsafe(TOKEN_BYTES))
            door = LoopbackDoor(listening, token, self._listener, origins)
        except BaseException:
            listening.close()
            raise
        self._doors.add(door)
        self._nursery.start_soon(self._serve, door, name=f"door {door.url}")
        logger.info("opened a door", extra={"url": door.url, "origins": list(origins)})
        return door

    def stop_accepting(self) -> None:
        """Let nobody in any more; those who are inside go on."""
        for door in self._doors:
            door.shut()

    async def _serve(self, door: "LoopbackDoor") -> None:
        try:
            await door.serve()
        finally:
            self._doors.discard(door)
            logger.info("closed a door", extra={"url": door.url})


class LoopbackDoor(Door):
    """`protocol.port.Door`: one listening socket."""

    def __init__(
        self, listening: socket.socket, token: TokenFile, listener: UnixListener, origins: Sequence[str]
    ) -> None:
        host, port = listening.getsockname()[:2]
        self.url = f"ws://{f'[{host}]' if ':' in host else host}:{port}/"
        self.token_path = token.path
        self._token = token
        self._listening = listening
        self._scope = trio.CancelScope()
        self._accepting = trio.CancelScope()
        self._port = port
        self._origins = tuple(origins)
        self._guests = listener.beside(self._greet, max_connections=MAX_WEB_CONNECTIONS)

    def __repr__(self) -> str:
        return f"<LoopbackDoor {self.url} connections={self.connections}>"

    @property
    def connections(self) -> int:
        return self._guests.connections

    def close(self) -> None:
        self._scope.cancel()

    def shut(self) -> None:
        """Let nobody in any more."""
        self._accepting.cancel()

    async def serve(self) -> None:
        """Let in until closed, then put everybody out."""
        with self._scope:
            try:
                async with trio.open_nursery() as connections:
                    with self._accepting:
                        await self._guests.accept(self._listening, connections)
                    self._listening.close()
            finally:
                self._listening.close()
                self._token.remove()

    async def _greet(self, sock: socket.socket) -> tuple[Codec, bytes] | None:
        from .gate import LoopbackGate

        return await greet_web(sock, LoopbackGate(self._port, self._token.text, self._origins))


def _listening(host: str, port: int) -> socket.socket:
    """A listening, non-blocking socket.

    Raises:
        InvalidParams: the address is taken, or not of this machine. PermissionDenied: the port is not for everybody.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A door that was just closed must not keep its port for a minute.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        kind = _REFUSALS.get(error.errno or 0)
        if kind is None:
            raise
        reason = os.strerror(error.errno or 0).lower()
        raise kind(f"address: cannot listen at {host} port {port}: {reason}.", details={"field": "address"}) from None
    return sock
