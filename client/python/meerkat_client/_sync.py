"""The blocking client on a plain socket: what the CLI and the shims are built on.

One connection, one thread. It reads only while somebody waits for something (`wait`, `events`), and dispatches what
arrives in between: replies to their calls, the daemon's requests to their handlers, notifications to a queue.

Ctrl-C in a wait raises KeyboardInterrupt and leaves the connection whole: the call is still in flight, so the caller
can begin `turn/interrupt` and go on waiting for the same `Pending`. See `_interrupts`.
"""

import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

from . import _dial
from ._interrupts import InterruptGate
from ._protocol import ClientProtocol, Notification, Pending, ServerRequest
from .errors import RkatError, makes_way
from .wire.limits import RECEIVE_CHUNK
from .wire.version import PROTOCOL_MAX, PROTOCOL_MIN, VERSION

# A daemon may leave between accepting us and answering; each time a new one is started.
_ATTEMPTS = 5

# What lives on a connection and ends with it.
_TIES = frozenset(("config/watch", "session/stream_open", "tools/register"))

NotificationHandler = Callable[[str, dict[str, Any]], object]
RequestHandler = Callable[[dict[str, Any]], Any]


class BlockingClient:
    """A connection to the daemon, bound to one realm. Use `connect`; close it, or use it as a context manager.

    A daemon that restarts is come back to: what it had not begun is asked again, and whoever waits goes on waiting.
    That is not done once something lives on the connection that only its owner can make again: a stream, tools.

    Attributes:
        info: the result of `initialize`.
        comes_back: whether that is done at all.
    """

    comes_back = True

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._protocol = ClientProtocol()
        self._unsent = bytearray()
        self._arrived: deque[Notification] = deque()
        self._asked: deque[ServerRequest] = deque()
        self._handlers: dict[str, RequestHandler] = {}
        self._gate = InterruptGate()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._poll_to_send = select.poll()
        self._poll_to_send.register(sock, select.POLLIN | select.POLLOUT)
        self.info: dict[str, Any] = {}
        self._connected_by: dict[str, Any] = {}
        self._tied = False

    def __repr__(self) -> str:
        state = "closed" if self._sock.fileno() < 0 else f"in_flight={self._protocol.in_flight}"
        return f"<BlockingClient {state}>"

    @classmethod
    def connect(
        cls,
        *,
        realm_id: str | None = None,
        workspace: str | None = None,
        isolated: bool = False,
        instance_id: str | None = None,
        backend: str | None = None,
        surface: str = "cli",
        name: str,
        credentials: Mapping[str, Mapping[str, str]] | None = None,
        state_root: str | None = None,
        start: bool = True,
        deadline: float = _dial.DEFAULT_DEADLINE_SECONDS,
        _command: Sequence[str] = ("-m", "meerkatd"),
    ) -> Self:
        """Connect, start a daemon if need be, and initialize.

        Args:
            realm_id, workspace, isolated: at most one of them; none leaves the choice to the daemon.
            surface: which kind of program this is: cli, rpc, rest, mcp or sdk.
            name: the program's own name.
            credentials: for each provider `api_key` and `base_url`; they live in the daemon's memory for as long as
                this connection.
            deadline: seconds for everything together.

        Raises:
            RkatError: DAEMON_UNAVAILABLE, VERSION_MISMATCH, PERMISSION_DENIED, or what `initialize` answered.
        """
        params: dict[str, Any] = {
            "client": {"name": name, "version": VERSION, "surface": surface, "pid": os.getpid()},
            "protocol": {"min": PROTOCOL_MIN, "max": PROTOCOL_MAX},
        }
        choices = {"realm_id": realm_id, "workspace": workspace, "isolated": isolated or None,
                   "instance_id": instance_id, "backend": backend}  # fmt: skip
        params.update((key, value) for key, value in choices.items() if value is not None)
        if credentials:
            params["credentials"] = {provider: dict(keys) for provider, keys in credentials.items()}
        until = time.monotonic() + deadline
        attempt = 1
        while True:
            left = max(0.0, until - time.monotonic())
            client = cls(_dial.connect(state_root=state_root, start=start, deadline=left, _command=_command))
            try:
                client.info = client.call("initialize", params, timeout=max(1.0, left))
            except RkatError as error:
                lost = client._protocol.lost is error and error.code == "DAEMON_UNAVAILABLE"
                client.close()
                if makes_way(error) and left > 0:
                    time.sleep(_dial.UPGRADE_LOOK_SECONDS)
                    continue
                if not lost or attempt == _ATTEMPTS or not start:
                    raise
                attempt += 1
            except BaseException:
                client.close()
                raise
            else:
                client._connected_by = {
                    "realm_id": client.info.get("realm_id"), "instance_id": instance_id, "surface": surface,
                    "name": name, "credentials": credentials, "state_root": state_root, "_command": _command,
                }  # fmt: skip
                return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; turns go on without it. Safe to call twice."""
        self._protocol.connection_lost(RkatError("DAEMON_UNAVAILABLE", "This client is closed."))
        self._sock.close()

    # Calls

    def call(self, method: str, params: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> Any:
        """Ask, and wait for the result.

        Raises:
            RkatError: the error that the daemon answered, or DAEMON_UNAVAILABLE.
            TimeoutError: no reply within `timeout` seconds; the request was taken back.
        """
        with self._gate:
            return self.wait(self.begin(method, params), timeout=timeout)

    def begin(self, method: str, params: Mapping[str, Any] | None = None) -> Pending:
        """Ask without waiting. What does not fit into the socket yet is sent while waiting.

        Ctrl-C meanwhile is raised by the next wait: otherwise nobody could tell whether the request was sent.

        Raises:
            RkatError: the request cannot be sent; nothing was begun.
        """
        with self._gate.remembering:
            self._tied = self._tied or method in _TIES
            if not self._protocol.in_flight and self._may_come_back():
                self._come_back()
            pending, frame = self._protocol.request(method, params)
            self._unsent += frame
            self._flush()
            return pending

    def wait(
        self,
        pending: Pending,
        on_notification: NotificationHandler | None = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        """Wait for a call's result. A call that is done gives its outcome again.

        Args:
            on_notification: called with method and params of each notification, in order; those that arrive without
                it are kept for `events`.

        Raises:
            RkatError, TimeoutError: as `call`.
            KeyboardInterrupt: the call is still in flight; wait for it again.
        """
        until = None if timeout is None else time.monotonic() + timeout
        with self._gate:
            while True:
                self._answer_requests()
                if on_notification is not None:
                    self._deliver(on_notification)
                if pending.done:
                    return pending.result()
                if not self._exchange(until):
                    break
        self.cancel(pending)
        self._protocol.forget(pending)
        raise TimeoutError(f"{pending.method} was not answered within {timeout:g} s")

    def cancel(self, pending: Pending) -> None:
        """Tell the daemon that the result is not wanted; the call ends with REQUEST_CANCELLED or its result."""
        if not pending.done:
            self.notify("cancel", {"request_id": pending.id})

    def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Send a notification.

        Raises:
            RkatError: it cannot be sent.
        """
        with self._gate.remembering:
            self._unsent += self._protocol.notification(method, params)
            self._flush()

    def on_request(self, method: str, handler: RequestHandler) -> None:
        """Answer the daemon's requests for `method` with what `handler(params)` returns, or with its exception's text.

        Handlers run in this thread, while it waits for something.
        """
        self._handlers[method] = handler

    def events(self, *, timeout: float | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Notifications as they arrive, (method, params); ends when none comes within `timeout` seconds.

        Raises:
            RkatError: the connection is lost.
        """
        while True:
            while self._arrived:
                yield self._arrived.popleft()
            until = None if timeout is None else time.monotonic() + timeout
            with self._gate:
                while not self._arrived:
                    self._answer_requests()
                    if self._protocol.lost is not None:
                        raise self._protocol.lost
                    if not self._exchange(until):
                        return

    # Moving bytes

    def _deliver(self, handler: NotificationHandler) -> None:
        while self._arrived:
            method, params = self._arrived.popleft()
            with self._gate.opened:
                handler(method, params)

    def _answer_requests(self) -> None:
        while self._asked:
            asked = self._asked.popleft()
            handler = self._handlers.get(asked.method)
            if handler is None:
                self._unsent += self._protocol.refuse(asked, f"No handler for {asked.method}.", code=-32601)
                continue
            try:
                with self._gate.opened:
                    result = handler(asked.params)
            except Exception as error:
                self._unsent += self._protocol.refuse(asked, str(error) or type(error).__name__)
            except BaseException:
                self._unsent += self._protocol.refuse(asked, "The client was interrupted.")
                raise
            else:
                self._unsent += self._protocol.reply(asked, result)

    def _exchange(self, until: float | None) -> bool:
        """Wait until bytes can be moved, and move them; False when `until` has passed."""
        self._flush()
        if self._protocol.lost is not None:
            return True
        poll = self._poll_to_send if self._unsent else self._poll
        left = None if until is None else max(0.0, until - time.monotonic())
        with self._gate.opened:
            ready = poll.poll(None if left is None else left * 1000)
        if not ready:
            return False
        self._receive()
        return True

    def _flush(self) -> None:
        while self._unsent:
            try:
                count = self._sock.send(self._unsent)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # The daemon may have said why before it closed: what it sent is still to be read.
                self._unsent.clear()
                return
            del self._unsent[:count]

    def _receive(self) -> None:
        try:
            data = self._sock.recv(RECEIVE_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(RkatError("DAEMON_UNAVAILABLE", f"The connection to the daemon broke: {error}."))
            return
        if not data:
            self._lose(RkatError("DAEMON_UNAVAILABLE", "The daemon closed the connection."))
            return
        try:
            arrived = self._protocol.feed(data)
        except RkatError as error:
            self._lose(error)
            return
        for item in arrived:
            if isinstance(item, ServerRequest):
                self._asked.append(item)
            else:
                self._arrived.append(item)

    def _lose(self, error: RkatError) -> None:
        if self._may_come_back():
            try:
                self._come_back()
            except RkatError as refused:
                error = refused
            else:
                return
        self._protocol.connection_lost(error)
        self._sock.close()

    def _may_come_back(self) -> bool:
        return self._protocol.leaving == "restart" and self.comes_back and not self._tied and bool(self._connected_by)

    def _come_back(self) -> None:
        """Be the connection that a new client would be, and ask again for what had no answer.

        Raises:
            RkatError: as `connect`.
        """
        fresh = BlockingClient.connect(**self._connected_by)
        self._sock.close()
        earlier, self._protocol = self._protocol, fresh._protocol
        self._sock, self._poll, self._poll_to_send = fresh._sock, fresh._poll, fresh._poll_to_send
        self.info = fresh.info
        self._arrived += fresh._arrived
        self._asked.clear()
        self._unsent = fresh._unsent + self._protocol.take_over(earlier)
        self._flush()
