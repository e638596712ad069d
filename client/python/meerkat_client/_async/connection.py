"""One connection, asynchronously: a socket and `ClientProtocol`. One task at a time receives; anyone may send.

The socket is used directly and not through a stream class: receiving is then safe to cancel at any time under both
libraries, and a request is handed to the kernel without a checkpoint, so that it can be taken back by somebody who is
being cancelled.
"""

import errno
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
import anyio.lowlevel
from anyio import to_thread

from .. import _dial
from .._protocol import ClientProtocol, Notification, Pending, ServerRequest
from ..errors import ConnectionLostError, RkatError, makes_way
from ..options import ConnectOptions, initialize_params, state_root
from ..wire.limits import RECEIVE_CHUNK

if TYPE_CHECKING:
    # Generated, and of a hundred shapes: what loads them pays for all.
    from ..types import Initialized

# A daemon may leave between accepting us and answering; each time a new one is started.
_ATTEMPTS: Final = 5
_WOULD_BLOCK = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)


class Connection:
    """One connection, initialized by `open`.

    Attributes:
        info: the result of `initialize`.
        arrived: what came beside replies, in order, for whoever takes it.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._protocol = ClientProtocol()
        self._unsent = bytearray()
        self._flushing = False
        self.arrived: deque[Notification | ServerRequest] = deque()
        self.info: Initialized = cast(Any, {})

    @classmethod
    async def open(cls, options: ConnectOptions, *, realm_id: str | None = None) -> "Connection":
        """Connect, start a daemon if need be, and initialize.

        Args:
            realm_id: the realm of an earlier connection, which this one is to have too.

        Raises:
            RkatError: DAEMON_UNAVAILABLE, VERSION_MISMATCH, PERMISSION_DENIED, or what `initialize` answered.

        Cancellation: safe at any time; nothing stays behind but a daemon that was started.
        """
        params = initialize_params(options, realm_id=realm_id)
        until = anyio.current_time() + options.get("deadline", _dial.DEFAULT_DEADLINE_SECONDS)
        attempt = 1
        while True:
            left = max(0.0, until - anyio.current_time())
            connection = cls(await _Dialling(options, left).run())
            try:
                with anyio.fail_after(max(1.0, left)):
                    connection.info = await connection.call("initialize", params)
                return connection
            except BaseException as error:
                connection.close()
                if isinstance(error, RkatError) and makes_way(error) and left > 0:
                    await anyio.sleep(_dial.UPGRADE_LOOK_SECONDS)
                    continue
                if isinstance(error, TimeoutError):
                    raise RkatError(
                        "DAEMON_UNAVAILABLE", "The daemon takes connections and does not answer."
                    ) from error
                if connection.lost is not error or attempt == _ATTEMPTS or not options.get("start", True):
                    raise
            attempt += 1

    def __repr__(self) -> str:
        state = "closed" if self._sock.fileno() < 0 else f"in_flight={self._protocol.in_flight}"
        return f"<Connection {state}>"

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

    # Asking

    def begin(self, method: str, params: Mapping[str, Any] | None = None) -> Pending:
        """Ask without waiting. What does not fit into the socket is sent by `flush`.

        Raises:
            RkatError: it cannot be sent; nothing was begun.
        """
        pending, frame = self._protocol.request(method, params)
        self.post(frame)
        return pending

    def take_back(self, pending: Pending) -> None:
        """Tell the daemon that the result is not wanted; its reply still comes."""
        if not pending.done and self.lost is None:
            self.post(self._protocol.cancel(pending))

    def forget(self, pending: Pending) -> None:
        self._protocol.forget(pending)

    def answer(self, request: ServerRequest, result: Any) -> None:
        if self.lost is None:
            self.post(self._protocol.reply(request, result))

    def refuse(self, request: ServerRequest, message: str) -> None:
        if self.lost is None:
            self.post(self._protocol.refuse(request, message, code=-32601))

    async def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Ask and wait; only while no other task receives.

        Raises:
            RkatError: what was answered, or how the connection was lost.
        """
        pending = self.begin(method, params)
        await self.flush()
        while not pending.done:
            await self.receive()
        return pending.result()

    async def next_notification(self, done: Callable[[], bool]) -> Notification | None:
        """The next notification; None when there is none and `done()` holds. Only while no other task receives.

        Raises:
            RkatError: the connection is lost.

        Cancellation: safe at any time; nothing is consumed.
        """
        await self.flush()
        while True:
            while self.arrived:
                item = self.arrived.popleft()
                if isinstance(item, Notification):
                    return item
                self.refuse(item, "This connection carries out no tools.")
            if done():
                return None
            if self.lost is not None:
                raise self.lost
            await self.receive()

    # Moving bytes

    def post(self, frame: bytes) -> None:
        """Send now what the socket takes, and leave the rest to `flush`."""
        self._unsent += frame
        if not self._flushing:
            self._send()

    @property
    def unsent(self) -> int:
        return len(self._unsent)

    async def flush(self) -> None:
        """Send what is left. Returns at once when another task is at it.

        Cancellation: safe at any time; the rest stays for the next flush.
        """
        if self._flushing:
            return
        self._flushing = True
        try:
            while self._unsent and self.lost is None:
                try:
                    await anyio.wait_writable(self._sock)
                except (anyio.ClosedResourceError, OSError):
                    return
                self._send()
        finally:
            self._flushing = False

    def _send(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
        except OSError as error:
            if error.errno not in _WOULD_BLOCK:
                # The daemon may have said why before it closed: what it sent is still to be read.
                self._unsent.clear()

    async def receive(self) -> None:
        """Wait for bytes and take them in: replies to their calls, the rest to `arrived`. Never raises for a loss.

        Cancellation: safe at any time; nothing is consumed.
        """
        await anyio.lowlevel.checkpoint_if_cancelled()
        try:
            data = self._sock.recv(RECEIVE_CHUNK)
        except (BlockingIOError, InterruptedError):
            try:
                await anyio.wait_readable(self._sock)
            except (anyio.ClosedResourceError, OSError):
                self.lose("The connection to the daemon was closed.")
            return
        except OSError as error:
            self.lose(f"The connection to the daemon broke: {error}.")
            return
        if not data:
            self.lose("The daemon closed the connection.")
            return
        try:
            self.arrived.extend(self._protocol.feed(data))
        except RkatError as error:
            self.lose(error.message)
        # A daemon that sends without end must not keep the other tasks from running.
        await anyio.lowlevel.cancel_shielded_checkpoint()

    def lose(self, message: str) -> None:
        """The connection is gone: every call that waits fails with this."""
        if self.lost is None:
            self._protocol.connection_lost(ConnectionLostError("DAEMON_UNAVAILABLE", message))

    def close(self) -> None:
        """End the connection; turns go on without it. Safe to call twice, and while another task waits for bytes."""
        self.lose("This connection is closed.")
        if self._sock.fileno() >= 0:
            anyio.notify_closing(self._sock)
            self._sock.close()


class _Dialling:
    """`_dial.connect` in a thread, since it waits for a daemon to start; a cancelled one closes what it still gets."""

    def __init__(self, options: ConnectOptions, deadline: float) -> None:
        self._options = options
        self._deadline = deadline
        self._abandoned = False
        self._sock: socket.socket | None = None

    async def run(self) -> socket.socket:
        try:
            return await to_thread.run_sync(self._dial, abandon_on_cancel=True)
        except BaseException:
            self._abandoned = True
            if self._sock is not None:
                self._sock.close()
            raise

    def _dial(self) -> socket.socket:
        self._sock = _dial.connect(
            state_root=state_root(self._options), start=self._options.get("start", True), deadline=self._deadline
        )
        # Whichever of the two comes second sees what the other has set, and closing twice is fine.
        if self._abandoned:
            self._sock.close()
        return self._sock
