"""The client's half of one connection, without I/O: ids, calls that wait, notifications, the daemon's own requests.

Both clients, the blocking one and the asynchronous one, drive this: they move bytes and wait, and nothing else.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import ConnectionLostError, RkatError, from_error_object, from_wire
from .wire.faults import MalformedFrame, WireError
from .wire.framing import FrameReader, Oversized, decode, encode_frame, require_plain
from .wire.limits import MAX_REPLY_FRAME, MAX_REQUEST_FRAME

LEAVING = "daemon/leaving"


class Notification(NamedTuple):
    """Something that the daemon tells unasked, such as an event of a session."""

    method: str
    params: dict[str, Any]


class ServerRequest(NamedTuple):
    """Something that the daemon asks, such as to execute a tool; to be answered with `reply`."""

    id: str
    method: str
    params: dict[str, Any]


class Pending:
    """A call in flight, or over. `done` says which; `result()` gives the outcome, as often as it is asked for."""

    __slots__ = ("_error", "_result", "done", "id", "method", "params")

    def __init__(self, call_id: int, method: str, params: Mapping[str, Any] | None = None) -> None:
        self.id = call_id
        self.method = method
        self.params = params
        self.done = False
        self._result: Any = None
        self._error: RkatError | None = None

    def __repr__(self) -> str:
        return f"<Pending {self.id} {self.method} {'done' if self.done else 'waiting'}>"

    def result(self) -> Any:
        """The result of a call that is done.

        Raises:
            RkatError: the call failed.
        """
        if self._error is not None:
            raise self._error
        return self._result

    def resolve(self, result: Any, error: RkatError | None) -> None:
        self._result, self._error, self.done = result, error, True


class ClientProtocol:
    """State of one connection. Bytes to send come out of the methods; received bytes go into `feed`.

    Attributes:
        lost: how the connection was lost; None while it is there.
        leaving: why the daemon leaves, once it has said so. What is not answered before the end was not begun then; a
            call that it refuses because it restarts counts as one of those.
    """

    def __init__(self) -> None:
        self._reader = FrameReader(MAX_REPLY_FRAME)
        self._pending: dict[int, Pending] = {}
        self._last_id = 0
        self.lost: RkatError | None = None
        self.leaving: str | None = None

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    def request(self, method: str, params: Mapping[str, Any] | None = None) -> tuple[Pending, bytes]:
        """A new call and the frame that asks for it.

        Raises:
            RkatError: INVALID_PARAMS or REQUEST_TOO_LARGE; nothing was begun. Or how the connection was lost.
        """
        if self.lost is not None:
            raise self.lost
        call_id = self._last_id + 1
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": call_id, "method": method}
        frame = _frame(message, params)
        self._last_id = call_id
        pending = self._pending[call_id] = Pending(call_id, method, params)
        return pending, frame

    def take_over(self, earlier: "ClientProtocol") -> bytes:
        """Frames that ask again for what an earlier connection did not answer; the same calls wait for it.

        Raises:
            RkatError: how this connection was lost.
        """
        frames = bytearray()
        for pending in list(earlier._pending.values()):
            again, frame = self.request(pending.method, pending.params)
            pending.id = again.id
            self._pending[again.id] = pending
            frames += frame
        earlier._pending.clear()
        return bytes(frames)

    def notification(self, method: str, params: Mapping[str, Any] | None = None) -> bytes:
        """The frame of a notification; raises as `request` does."""
        return _frame({"jsonrpc": "2.0", "method": method}, params)

    def cancel(self, pending: Pending) -> bytes:
        """The frame that takes a call back. Its reply still comes."""
        return self.notification("cancel", {"request_id": pending.id})

    def reply(self, request: ServerRequest, result: Any) -> bytes:
        """The frame that answers the daemon; an answer that cannot be sent becomes an error that says why."""
        try:
            require_plain(result)
            return encode_frame({"jsonrpc": "2.0", "id": request.id, "result": result}, MAX_REQUEST_FRAME)
        except WireError as error:
            return self.refuse(request, error.message)

    def refuse(self, request: ServerRequest, message: str, *, code: int = -32603) -> bytes:
        """The frame that tells the daemon that its request failed."""
        text = message.encode("utf-8", "replace").decode()[:4096]
        error = {"code": code, "message": text}
        return encode_frame({"jsonrpc": "2.0", "id": request.id, "error": error}, MAX_REQUEST_FRAME)

    def forget(self, pending: Pending) -> None:
        """Drop a call whose reply nobody wants any more."""
        self._pending.pop(pending.id, None)

    def feed(self, data: bytes) -> list[Notification | ServerRequest]:
        """Take received bytes: resolves calls, and gives what came beside them, in order.

        Raises:
            RkatError: the daemon broke the protocol; the connection is of no more use.
        """
        self._reader.feed(data)
        arrived: list[Notification | ServerRequest] = []
        while (body := self._reader.next()) is not None:
            if isinstance(body, Oversized):
                raise RkatError("DAEMON_UNAVAILABLE", f"The daemon announced a frame of {body.length} bytes.")
            try:
                message = decode(body, trusted=True)
            except MalformedFrame as error:
                raise RkatError("DAEMON_UNAVAILABLE", f"The daemon sent a broken frame: {error.message}") from error
            item = self._take(message)
            if item is not None:
                arrived.append(item)
        return arrived

    def connection_lost(self, error: RkatError) -> None:
        """The connection is gone: every call that waits fails with `error`, and so does every later one."""
        self.lost = error
        if isinstance(error, ConnectionLostError):
            error.begun = self.leaving is None
        for pending in self._pending.values():
            pending.resolve(None, error)
        self._pending.clear()

    def _take(self, message: Any) -> Notification | ServerRequest | None:
        if not isinstance(message, dict):
            raise RkatError("DAEMON_UNAVAILABLE", "The daemon sent something that is no message.")
        method, call_id = message.get("method"), message.get("id")
        if isinstance(method, str):
            params = message.get("params") or {}
            if method == LEAVING:
                self.leaving = str(params.get("reason"))
                return None
            return ServerRequest(call_id, method, params) if isinstance(call_id, str) else Notification(method, params)
        if call_id is None and "error" in message:
            # The daemon could not read a request of ours and cannot say which: no call can be trusted to end.
            raise from_error_object(message["error"])
        pending = self._pending.pop(call_id, None) if isinstance(call_id, int) else None
        if pending is not None:
            error = from_error_object(message["error"]) if "error" in message else None
            if error is not None and error.code == "SHUTTING_DOWN" and error.details.get("restarting"):
                self._pending[pending.id] = pending
                return None
            pending.resolve(message.get("result"), error)
        return None


def _frame(message: dict[str, Any], params: Mapping[str, Any] | None) -> bytes:
    try:
        if params is not None:
            message["params"] = dict(params)
            require_plain(message["params"])
        return encode_frame(message, MAX_REQUEST_FRAME)
    except WireError as error:
        raise from_wire(error) from error
