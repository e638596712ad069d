"""The daemon's working life: listen, say so, accept, look after its files, and in the end drain and leave.

A stop takes the name away first, while the lock is still held: a new client starts a new daemon, which is told BUSY,
and tries again until this one has left. Connections that are open go on working until everything is answered.

A restart keeps the sockets. While the last turns end, everything but new turns goes on; then every connection is told,
answered and closed, and whoever comes waits in the sockets' queues for the next program of this process.
"""

import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from meerkat_client.wire.faults import WireError

from .departure import Departure
from .endpoint import CHECK_SECONDS, Endpoint
from .idle import Idleness, leave_when_idle
from .lock import AlreadyRunning, InstanceLock

logger = logging.getLogger(__name__)

# When all work has ended, the last replies take milliseconds; a request that takes longer hangs, or has begun work
# that came too late to be waited for.
REPLY_SECONDS = 2.0
# What is broken off then is answered at once, if at all.
CANCEL_SECONDS = 0.5


class Acceptor(Protocol):
    """What serves connections; `listener.unix.UnixListener` is one."""

    @property
    def connections(self) -> int: ...

    @property
    def accepted(self) -> int: ...

    async def accept(self, listening: socket.socket, connections: trio.Nursery) -> None: ...

    async def leave(self, reason: str) -> None: ...

    async def quiet(self) -> None: ...

    def cancel_calls(self) -> None: ...


async def serve_until_left(
    endpoint: Endpoint,
    acceptor: Acceptor,
    *,
    departure: Departure,
    ready: Callable[[], None],
    drained: Callable[[], Awaitable[None]],
    lock: InstanceLock | None = None,
    idleness: Idleness | None = None,
) -> None:
    """Serve until `departure` is asked for, then drain, let the last replies out, and close every connection.

    Args:
        ready: called once, when clients can connect.
        drained: waits until no work runs that nobody may lose, such as turns, up to a deadline of its own; new work is
            refused or held by whoever does it.
        lock: looked after together with the socket's name.
        idleness: when to leave by oneself; None for never.

    The endpoint is closed at the end, unless that is a restart. Cancelling this closes everything at once.

    Raises:
        PathRefused, OSError: the socket cannot be bound.
    """
    over = False
    try:
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                for listening in endpoint.open():
                    accepting.start_soon(acceptor.accept, listening, connections)
                accepting.start_soon(_look_after, endpoint, lock, acceptor, accepting, connections)
                if idleness is not None:
                    accepting.start_soon(leave_when_idle, idleness, endpoint, acceptor, departure)
                ready()
                await departure.wait()
                if departure.is_restart:
                    await drained()
                accepting.cancel_scope.cancel()
            if not departure.is_restart:
                endpoint.remove()
                await drained()
            departure.leave()
            await acceptor.leave(departure.reason or "stop")
            # A turn may have been beginning all along, and running only now.
            await drained()
            await _last_replies(acceptor, hurry=departure.in_a_hurry)
            connections.cancel_scope.cancel()
        over = departure.is_restart
    finally:
        if not over:
            endpoint.close()


async def _last_replies(acceptor: Acceptor, *, hurry: bool) -> None:
    seconds = CANCEL_SECONDS if hurry else REPLY_SECONDS
    with trio.move_on_after(seconds):
        await acceptor.quiet()
        return
    logger.warning("not everything was finished in time", extra={"seconds": seconds})
    acceptor.cancel_calls()
    with trio.move_on_after(CANCEL_SECONDS):
        await acceptor.quiet()


async def _look_after(
    endpoint: Endpoint,
    lock: InstanceLock | None,
    acceptor: Acceptor,
    accepting: trio.Nursery,
    connections: trio.Nursery,
) -> None:
    """Make what was taken away again: the lock's file, and the socket's name; whoever reached the old socket is still
    served."""
    while True:
        await trio.sleep(CHECK_SECONDS)
        if lock is not None and not lock.is_whole():
            _mend(lock)
        if endpoint.is_ours():
            continue
        try:
            listening = endpoint.bind()
        except (OSError, WireError):
            logger.exception("the socket's name is gone and cannot be made again")
            continue
        logger.warning("the socket's name was gone; made it again")
        accepting.start_soon(acceptor.accept, listening, connections)


def _mend(lock: InstanceLock) -> None:
    try:
        lock.mend()
    except (AlreadyRunning, OSError, WireError):
        logger.exception("the lock's file is gone and cannot be made again")
    else:
        logger.warning("the lock's file was gone; made it again")
