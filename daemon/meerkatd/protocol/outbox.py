"""What waits to be written to one socket: in order, bounded, and written directly when nothing waits.

Whoever wants to send waits while HIGH_WATER bytes are unsent, so memory is bounded by that plus one message. When the
queue is empty a message goes to the socket at once, without waking the writer: that saves a task switch per reply.

Cancelling a `send` that waits sends nothing; once queued, a message is sent whole or the connection ends.
"""

import socket
from collections import deque

import trio

from meerkat_client.wire.limits import OUTBOX_HIGH_WATER, WRITE_STALL_SECONDS

from .port import PeerGone

# One sendmsg() takes at most 1024 buffers; small ones are joined by the kernel anyway.
_BATCH = 64


class Stalled(Exception):
    """The peer took not one byte for WRITE_STALL_SECONDS."""


class Outbox:
    """The writing side of a non-blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._queue: deque[memoryview] = deque()
        self._size = 0
        self._gone = False
        self._something = trio.Event()
        self._room = trio.lowlevel.ParkingLot()
        self._flushed = trio.lowlevel.ParkingLot()

    @property
    def size(self) -> int:
        """Unsent bytes."""
        return self._size

    async def send(self, data: bytes) -> None:
        """Send or queue `data`. Waits, and is a checkpoint, only while the outbox is full.

        Raises:
            PeerGone: the connection has ended.
        """
        while self._size >= OUTBOX_HIGH_WATER and not self._gone:
            await self._room.park()
        if self._gone:
            raise PeerGone
        view = memoryview(data)
        if not self._queue:
            view = view[self._write([view]) :]
            if self._gone:
                raise PeerGone
        if view:
            self._queue.append(view)
            self._size += len(view)
            self._something.set()
        if self._room and self._size < OUTBOX_HIGH_WATER:
            # This one may itself have been woken by the last progress that the writer will make.
            self._room.unpark()

    async def run(self) -> None:
        """Write what is queued, until cancelled.

        Raises:
            Stalled: no progress while something waits.
            PeerGone: the socket is broken.
        """
        while True:
            if not self._queue:
                self._something = trio.Event()
                await self._something.wait()
            with trio.move_on_after(WRITE_STALL_SECONDS) as scope:
                await trio.lowlevel.wait_writable(self._sock)
            if scope.cancelled_caught:
                raise Stalled
            self._take(self._write([view for view, _ in zip(self._queue, range(_BATCH), strict=False)]))
            if self._gone:
                raise PeerGone
            self._wake()

    async def flushed(self) -> None:
        """Wait until nothing is unsent.

        Raises:
            PeerGone: the connection ended before that.
        """
        while self._queue and not self._gone:
            await self._flushed.park()
        if self._gone:
            raise PeerGone

    def close(self) -> None:
        """Drop what is unsent; everyone who waits or sends from now on gets `PeerGone`."""
        self._gone = True
        self._queue.clear()
        self._size = 0
        self._room.unpark_all()
        self._flushed.unpark_all()

    def _write(self, views: list[memoryview]) -> int:
        try:
            return self._sock.send(views[0]) if len(views) == 1 else self._sock.sendmsg(views)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            # The reader finds out the same; here the error has nobody to go to but the sender, as PeerGone.
            self.close()
            self._something.set()
            return 0

    def _take(self, count: int) -> None:
        self._size = max(0, self._size - count)
        while count and self._queue:
            head = self._queue[0]
            if count < len(head):
                self._queue[0] = head[count:]
                return
            count -= len(head)
            self._queue.popleft()

    def _wake(self) -> None:
        if not self._queue:
            self._flushed.unpark_all()
        if self._size < OUTBOX_HIGH_WATER:
            # One at a time: each may queue a large message. The next is woken by the next progress.
            self._room.unpark()
