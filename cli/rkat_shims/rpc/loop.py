"""Moves the bytes: stdin to the daemon, the daemon to stdout, in one thread and without ever waiting for one of them.

Descriptors stay in the mode in which they came: whoever shares stdout with us (a terminal, a shell) would otherwise
find it non-blocking. A pipe that `poll` calls writable takes PIPE_BUF bytes at once (POSIX), so that much is written.

Nothing here grows without a bound. A client that does not read fills `_out`; then the daemon is not read, its outbox
fills, and its event streams tell the gap. A daemon that does not read fills the link; then stdin is not read.
"""

import os
import select
import sys
import time

from meerkat_client.errors import RkatError
from meerkat_client.wire.limits import MIB, RECEIVE_CHUNK, WRITE_STALL_SECONDS

from .lines import LineReader, LongLine
from .link import Link, Lost
from .options import Options
from .relay import Forward, Greet, Relay, Reply

# After the end of stdin, requests in flight have this long to end: the public contract's figure.
GRACE_SECONDS = 5.0
# The daemon takes a client for gone that leaves it waiting for 30 s. This much is read before we leave it waiting, so
# that a client that pauses loses nothing but after a lot of events.
MAX_UNREAD = 4 * MIB
# Errors that are answered here go beyond that, for a client that writes and does not read; then it is not read either.
MAX_UNREAD_ERRORS = MAX_UNREAD + 1 * MIB
# One request of the largest size may wait for the daemon; the next is read when it is gone.
MAX_UNSENT = 1 * MIB
# After a failed attempt to connect, requests that are already waiting get the same answer instead of one attempt each.
RETRY_SECONDS = 1.0
# What a writable pipe takes without blocking. POSIX guarantees 512; Linux and macOS say what they do.
_WRITE_BYTES = getattr(select, "PIPE_BUF", 512)


class Loop:
    """One run of the program.

    Args:
        stdin, stdout: descriptors.
    """

    def __init__(self, options: Options, *, stdin: int, stdout: int) -> None:
        self._options = options
        self._stdin = stdin
        self._stdout = stdout
        self._lines = LineReader()
        self._relay = Relay(options)
        self._link: Link | None = None
        self._out = bytearray()
        self._poll = select.poll()
        self._masks: dict[int, int] = {}
        self._end_by: float | None = None
        self._deaf = False
        self._failed: tuple[float, RkatError] | None = None
        self._unread_since: float | None = None

    def __repr__(self) -> str:
        return f"<Loop {self._relay!r} link={self._link!r} unwritten={len(self._out)}>"

    def run(self) -> int:
        """Run until stdin has ended and what was asked is answered, or nobody reads stdout; the exit status."""
        try:
            if self._options.live_ws is not None:
                self._open_door()
            while not self._finished():
                self._turn()
        finally:
            if self._link is not None:
                self._link.close()
        return 0

    def _finished(self) -> bool:
        if self._deaf:
            return True
        if self._end_by is None:
            return False
        waits = self._relay.in_flight or self._out or (self._link is not None and self._link.unsent)
        return not waits or time.monotonic() >= self._end_by

    def _turn(self) -> None:
        """Wait until something can be moved, and move it."""
        self._watch(self._stdin, select.POLLIN if self._wants_input() else None)
        self._watch(self._stdout, select.POLLOUT if self._out else 0)
        if self._link is not None:
            reading = len(self._out) < MAX_UNREAD
            self._note_pause(reading)
            mask = (select.POLLIN if reading else 0) | (select.POLLOUT if self._link.unsent else 0)
            self._watch(self._link.fileno(), mask or None)
        left = None if self._end_by is None else max(0.0, self._end_by - time.monotonic()) * 1000
        for descriptor, event in self._poll.poll(left):
            if descriptor == self._stdin:
                self._read()
            elif descriptor == self._stdout:
                self._write(event)
            elif self._link is not None and descriptor == self._link.fileno():
                self._link.flush()
                if event & ~select.POLLOUT:
                    self._receive()

    def _watch(self, descriptor: int, mask: int | None) -> None:
        """Have `poll` report `mask` and hang-ups; with None nothing at all, as it repeats a hang-up without end."""
        if self._masks.get(descriptor) == mask:
            return
        if mask is None:
            del self._masks[descriptor]
            self._poll.unregister(descriptor)
        else:
            self._masks[descriptor] = mask
            self._poll.register(descriptor, mask)

    def _wants_input(self) -> bool:
        if self._end_by is not None or len(self._out) >= MAX_UNREAD_ERRORS:
            return False
        return self._link is None or self._link.unsent < MAX_UNSENT

    # The client

    def _read(self) -> None:
        try:
            data = os.read(self._stdin, RECEIVE_CHUNK)
        except OSError:
            # A terminal that is gone says EIO, a descriptor that was never open EBADF: the end, as any other.
            data = b""
        if data:
            self._lines.feed(data)
            while (text := self._lines.next()) is not None:
                self._take(text)
        else:
            last = self._lines.finish()
            if last is not None:
                self._take(last)
        if not data or self._lines.dead:
            self._end_by = time.monotonic() + GRACE_SECONDS

    def _take(self, text: bytes | LongLine) -> None:
        action = self._relay.take(text)
        if isinstance(action, Reply):
            self._out += action.line
        elif isinstance(action, Greet):
            link = self._connected(action)
            if link is not None:
                self._out += self._relay.greeting(action.id, link.info, link.door)
        elif isinstance(action, Forward):
            link = self._connected(action) if action.expected else self._link
            if link is not None:
                link.send(action.frame)

    def _write(self, event: int) -> None:
        if not event & select.POLLOUT:
            # Nobody reads any more, so nobody is there.
            self._deaf = True
            return
        try:
            count = os.write(self._stdout, memoryview(self._out)[:_WRITE_BYTES])
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._deaf = True
            return
        del self._out[:count]

    # The daemon

    def _connected(self, action: Greet | Forward) -> Link | None:
        """The connection, opened when there is none; None when that failed, and then the client has been told."""
        if self._link is None:
            try:
                self._link = self._open()
            except RkatError as error:
                self._failed = (time.monotonic(), error)
                self._out += self._relay.unsent(action, error)
        return self._link

    def _open_door(self) -> None:
        """Connect before anything is asked, for whoever waits for the door and asks nothing here."""
        try:
            self._link = self._open()
        except RkatError as error:
            # Whoever asks something here is told it, too.
            self._failed = (time.monotonic(), error)
            print(f"error: {error.message} ({error.code})\n  → {error.hint}", file=sys.stderr, flush=True)

    def _open(self) -> Link:
        if self._failed is not None:
            at, error = self._failed
            if time.monotonic() - at < RETRY_SECONDS:
                raise error
            self._failed = None
        link = Link.open(self._options, os.environ, realm=self._relay.realm, tools=self._relay.tools)
        self._relay.connected(link.info)
        if link.door is not None:
            text = f"rkat-rpc: WebSocket at {link.door['url']} with the token in {link.door['token_path']}"
            print(text, file=sys.stderr, flush=True)
        for message in link.take_early():
            self._out += self._relay.deliver(message)
        return link

    def _receive(self) -> None:
        assert self._link is not None
        try:
            for message in self._link.receive():
                self._out += self._relay.deliver(message)
        except Lost as lost:
            self._watch(self._link.fileno(), None)
            self._link.close()
            self._link = None
            if self._relay.restarting and self._came_back():
                return
            self._out += self._relay.lost(RkatError("DAEMON_UNAVAILABLE", self._why_lost(lost)))
            self._unread_since = None

    def _came_back(self) -> bool:
        """Whether the restarted daemon has taken over where it left us."""
        try:
            self._link = self._open()
        except RkatError as error:
            self._failed = (time.monotonic(), error)
            return False
        self._link.send(self._relay.resume())
        return True

    def _note_pause(self, reading: bool) -> None:
        if reading and len(self._out) < MAX_UNREAD // 2:
            self._unread_since = None
        elif not reading and self._unread_since is None:
            self._unread_since = time.monotonic()

    def _why_lost(self, lost: Lost) -> str:
        since = self._unread_since
        if since is not None and time.monotonic() - since >= WRITE_STALL_SECONDS:
            return f"The daemon closed the connection, because this client read nothing for {WRITE_STALL_SECONDS:g} s."
        return str(lost)
