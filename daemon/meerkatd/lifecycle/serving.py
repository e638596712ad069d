"""The daemon's working life: bind, say so, accept, watch the socket's name, and on request stop, drain and leave.

While draining, the name is gone and the lock is still held: a new client starts a new daemon, which is told BUSY, and
tries again until this one has left. Connections that are open go on working until everything is answered.
"""

import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from meerkat_client.wire.faults import WireError

from .endpoint import CHECK_SECONDS, Endpoint

logger = logging.getLogger(__name__)

# When all work has ended, the last replies take milliseconds; a request that takes longer hangs, or has begun work
# that came too late to be waited for.
REPLY_SECONDS = 2.0


class Acceptor(Protocol):
    """What serves connections; `listener.unix.UnixListener` is one."""

    async def accept(self, listening: socket.socket, connections: trio.Nursery) -> None: ...

    async def quiet(self) -> None: ...


async def serve_until_stopped(
    endpoint: Endpoint,
    acceptor: Acceptor,
    *,
    stopping: trio.Event,
    ready: Callable[[], None],
    drained: Callable[[], Awaitable[None]],
    drain_seconds: float,
) -> None:
    """Serve until `stopping` is set, then drain for at most `drain_seconds`, let the last replies out, and close every
    connection.

    Args:
        ready: called once, when clients can connect.
        drained: waits until no work runs that nobody may lose, such as turns; new work is refused by whoever does it.

    Cancelling this closes everything at once.

    Raises:
        PathRefused, OSError: the socket cannot be bound.
    """
    listening = endpoint.bind()
    try:
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(acceptor.accept, listening, connections)
                accepting.start_soon(_keep_name, endpoint, acceptor, accepting, connections)
                ready()
                await stopping.wait()
                endpoint.remove()
                accepting.cancel_scope.cancel()
            with trio.move_on_after(drain_seconds) as scope:
                await drained()
            with trio.move_on_after(REPLY_SECONDS) as replying:
                await acceptor.quiet()
            if scope.cancelled_caught or replying.cancelled_caught:
                logger.warning("not everything was finished in time", extra={"drain_seconds": drain_seconds})
            connections.cancel_scope.cancel()
    finally:
        endpoint.remove()


async def _keep_name(
    endpoint: Endpoint, acceptor: Acceptor, accepting: trio.Nursery, connections: trio.Nursery
) -> None:
    """Bind again when the socket's name was taken away; whoever reached the old one is still served."""
    while True:
        await trio.sleep(CHECK_SECONDS)
        if endpoint.is_ours():
            continue
        try:
            listening = endpoint.bind()
        except (OSError, WireError):
            logger.exception("the socket's name is gone and cannot be made again")
            continue
        logger.warning("the socket's name was gone; made it again")
        accepting.start_soon(acceptor.accept, listening, connections)
