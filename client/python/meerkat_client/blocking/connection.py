"""One connection of the blocking client: `BlockingClient`, and what a client of several connections needs beyond it."""

import select
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from .. import _dial
from .._protocol import Notification, Pending
from .._sync import BlockingClient
from ..errors import ConnectionLostError, RkatError
from ..options import ConnectOptions, initialize_params, state_root

# How long somebody who takes a turn back waits for its end, so that the session is free afterwards. An interrupted
# turn is committed within milliseconds, unless the disk is failing.
TAKE_BACK_SECONDS = 5.0


class Connection(BlockingClient):
    """One connection.

    Attributes:
        comes_back: not by itself; the link knows what to ask again, and streams where to go on.
        beside: another connection, whose requests are answered too while this one waits: the daemon asks for tools
            over the client's own connection while the client waits for the events of a stream.
    """

    comes_back = False

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.beside: Connection | None = None

    @classmethod
    def open(cls, options: ConnectOptions, *, realm_id: str | None = None) -> "Connection":
        """Connect, start a daemon if need be, and initialize.

        Args:
            realm_id: the realm of an earlier connection, which this one is to have too.

        Raises:
            RkatError: as `BlockingClient.connect`.
        """
        params = initialize_params(options, realm_id=realm_id)
        client = params["client"]
        try:
            return cls.connect(
                realm_id=params.get("realm_id"),
                workspace=params.get("workspace"),
                isolated=params.get("isolated", False),
                instance_id=params.get("instance_id"),
                backend=params.get("backend"),
                surface=client["surface"],
                name=client["name"],
                credentials=params.get("credentials"),
                state_root=state_root(options),
                start=options.get("start", True),
                deadline=options.get("deadline", _dial.DEFAULT_DEADLINE_SECONDS),
            )
        except TimeoutError as error:
            raise RkatError("DAEMON_UNAVAILABLE", "The daemon takes connections and does not answer.") from error

    @property
    def lost(self) -> RkatError | None:
        """How the connection was lost; None while it is there."""
        return self._protocol.lost

    @property
    def leaving(self) -> str | None:
        """Why the daemon leaves, once it has said so: nothing new is to be asked here."""
        return self._protocol.leaving

    def hung_up(self) -> bool:
        """Whether the daemon has closed its end, even if nobody has received that yet."""
        try:
            return self._sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def serve_while_waiting(self, beside: "Connection") -> None:
        """Answer the requests that come over `beside` whenever this one waits."""
        self.beside = beside
        # One Ctrl-C interrupts one wait, whichever of the two connections it is for.
        self._gate = beside._gate

    def ask(self, method: str, params: Mapping[str, Any], *, grace: bool = False) -> Any:
        """`call`; on Ctrl-C the request is taken back, and with `grace` its end is waited for."""
        pending = self.begin(method, params)
        try:
            return self.wait(pending)
        except KeyboardInterrupt:
            self.take_back(pending, grace=grace)
            raise

    def take_back(self, pending: Pending, *, grace: bool) -> None:
        """Tell the daemon that the result is not wanted, and with `grace` wait until that has come to an end."""
        if pending.done:
            return
        self.cancel(pending)
        if grace:
            # Whatever the end is, it is an end.
            with suppress(RkatError, TimeoutError):
                self.wait(pending, _drop, timeout=TAKE_BACK_SECONDS)
        self._protocol.forget(pending)

    def next_notification(self, done: Callable[[], bool]) -> Notification | None:
        """The next notification; None when there is none and `done()` holds.

        Raises:
            RkatError: the connection is lost.
            KeyboardInterrupt: nothing is consumed.
        """
        with self._gate:
            while not self._arrived:
                self._answer_requests()
                if done():
                    return None
                if self._protocol.lost is not None:
                    raise self._protocol.lost
                self._exchange(None)
        return self._arrived.popleft()

    def wait_until(self, done: Callable[[], bool]) -> None:
        """Wait until `done()` holds; notifications stay for `next_notification`.

        Raises:
            RkatError: the connection is lost, or what `done` raises.
        """
        with self._gate:
            while not done():
                if self._protocol.lost is not None:
                    raise self._protocol.lost
                self._answer_requests()
                self._exchange(None)

    def _exchange(self, until: float | None) -> bool:
        beside = self.beside
        if beside is None or beside.lost is not None:
            self.beside = None
            return super()._exchange(until)
        self._flush()
        beside._flush()
        if self.lost is not None:
            return True
        poll = select.poll()
        for connection in (self, beside):
            poll.register(connection._sock, select.POLLIN | (select.POLLOUT if connection._unsent else 0))
        left = None if until is None else max(0.0, until - time.monotonic())
        with self._gate.opened:
            ready = {fd for fd, _ in poll.poll(None if left is None else left * 1000)}
        if beside._sock.fileno() in ready:
            beside._receive()
            beside._answer_requests()
        if self._sock.fileno() in ready:
            self._receive()
        return bool(ready)

    def _lose(self, error: RkatError) -> None:
        super()._lose(ConnectionLostError(error.code, error.message))


def _drop(method: str, params: dict[str, Any]) -> None:
    """Nobody reads this stream any more."""
