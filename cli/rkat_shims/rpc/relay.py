"""Lines into frames and messages into lines, and what has to be remembered for that. No I/O.

Ids of the client's requests are passed on as they came, so a reply needs no look-up. What is remembered is for the day
on which the daemon goes away: which requests wait for an answer, which streams are open, which tools are on offer.

The daemon numbers its own requests anew on each connection; here they are numbered through, so that a late answer to
one that died with its connection is never taken for the answer to another.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from meerkat_client.errors import RkatError, from_error_object, from_wire
from meerkat_client.wire.codes import row
from meerkat_client.wire.faults import MalformedFrame, WireError
from meerkat_client.wire.framing import HEADER_BYTES, encode_frame, require_few
from meerkat_client.wire.json_text import decode_json
from meerkat_client.wire.limits import MAX_REQUEST_FRAME

from .answers import error_line, line, result_line
from .lines import MAX_LINE, LongLine, id_in_head, id_of_refused, usable_id
from .options import Options

SERVER_NAME = "meerkat-rpc"
_LEAVING = "daemon/leaving"
# The realm is the command line's to choose. A client that names one here and were not heard would be in another's.
_NOT_HERE = ("realm_id", "workspace", "isolated", "instance_id", "backend", "credentials")


class Reply(NamedTuple):
    """A line for the client, to be written at once."""

    line: bytes


class Greet(NamedTuple):
    """The client's `initialize`, to be answered with `greeting` once there is a connection."""

    id: int | str


class Forward(NamedTuple):
    """A frame for the daemon.

    Attributes:
        id: of the request, for the case that it cannot be sent; None when it has none.
        expected: somebody waits for an answer, so it is worth a new connection.
    """

    frame: bytes
    id: int | str | None
    expected: bool


Action = Reply | Greet | Forward


class _Asked(NamedTuple):
    """A request of the client's in flight."""

    method: str
    params: dict[str, Any]


class _Stream:
    """An event stream of the client's, by the id that it knows.

    Attributes:
        params: those with which it was opened.
        cursor: the last event that was delivered.
        sequence: how many were.
        now: its id on the connection of the moment.
    """

    def __init__(self, params: dict[str, Any], result: dict[str, Any]) -> None:
        self.params = {**params, "session_id": result["session_id"]}
        self.session_id: str = result["session_id"]
        self.cursor: int | None = result.get("cursor")
        self.sequence = 0
        self.now: str = result["stream_id"]


class Relay:
    """One client's state across any number of connections to the daemon.

    A daemon that restarts says so before it closes the connection. Then nothing is lost: what has no answer was not
    begun and is asked again on the next connection, and streams are opened again after the last event delivered.

    Attributes:
        realm: the realm, once a connection has told it.
        restarting: the daemon has said so.
    """

    def __init__(self, options: Options) -> None:
        self.realm: str | None = None
        self._default_model = options.default_model
        self._pending: dict[int | str, _Asked] = {}
        self._streams: dict[str, _Stream] = {}
        self._reopening: dict[str, str] = {}
        self.restarting = False
        self._tools: dict[str, dict[str, Any]] = {}
        self._questions: dict[str, str] = {}
        self._questions_asked = 0

    def __repr__(self) -> str:
        return f"<Relay in_flight={len(self._pending)} streams={len(self._streams)} tools={len(self._tools)}>"

    @property
    def in_flight(self) -> int:
        """Requests of the client that are unanswered."""
        return len(self._pending)

    @property
    def tools(self) -> Sequence[dict[str, Any]]:
        """The tools that the client has registered, for a new connection."""
        return list(self._tools.values())

    # From the client

    def take(self, text: bytes | LongLine) -> Action | None:
        """What to do about a line; None for a blank one."""
        if isinstance(text, LongLine):
            return self._unread(id_in_head(text.head), _too_long(text))
        if not text or text.isspace():
            return None
        try:
            message = decode_json(text)
        except MalformedFrame as error:
            return self._unread(id_of_refused(text), from_wire(error))
        if type(message) is not dict:
            return self._unread(
                None, RkatError("INVALID_REQUEST", "A message must be one object; batches are not supported.")
            )
        if "method" in message:
            return self._request(message)
        return self._answer(message)

    def unsent(self, action: Forward | Greet, error: RkatError) -> bytes:
        """There is no connection: the line that says so, empty when nobody waits for one."""
        if isinstance(action, Forward):
            self._pending.pop(action.id, None)  # type: ignore[arg-type]
            if not action.expected:
                return b""
        return error_line(action.id, error)

    def greeting(self, call_id: int | str, info: dict[str, Any], door: dict[str, Any] | None) -> bytes:
        """The reply to `initialize`.

        Args:
            info: the daemon's own answer to ours.
            door: what `--live-ws` opened.
        """
        server = {**info["server_info"], "name": SERVER_NAME}
        opened = {} if door is None else {"live_ws": door}
        return result_line(call_id, {**info, "server_info": server, **opened})

    def _request(self, message: dict[str, Any]) -> Action:
        call_id = usable_id(message.get("id"))
        method, params = message["method"], message.get("params")
        if call_id is not None:
            if call_id in self._pending:
                refused = RkatError("DUPLICATE_INPUT", "A request with this id is in flight.")
                return Reply(error_line(call_id, refused))
            if method == "initialize" and message.get("jsonrpc") == "2.0":
                return _greet(call_id, params)
        if method == "session/create" and self._default_model and type(params) is dict:
            params.setdefault("model", self._default_model)
        try:
            frame = _frame(self._as_known_there(message))
        except WireError as error:
            return Reply(error_line(call_id, from_wire(error)))
        if call_id is not None and type(method) is str:
            self._pending[call_id] = _Asked(method, params if type(params) is dict else {})
        return Forward(frame, call_id, expected="id" in message)

    def _unread(self, call_id: int | str | None, error: RkatError) -> Action:
        """A line that is no message. If it was to answer the daemon, that is told so, and no turn waits."""
        theirs = self._questions.pop(call_id, None) if type(call_id) is str else None
        if theirs is None:
            return Reply(error_line(call_id, error))
        return Forward(_refusal(theirs, error.message), None, expected=False)

    def _answer(self, message: dict[str, Any]) -> Action | None:
        """The client's answer to a request of the daemon's, or something that only the daemon can refuse."""
        call_id = message.get("id")
        theirs = self._questions.pop(call_id, None) if type(call_id) is str else None
        if theirs is None:
            if type(call_id) is str and ("result" in message or "error" in message):
                return None
            return Forward(_frame_or_refusal(message), usable_id(call_id), expected=True)
        return Forward(_frame_or_refusal({**message, "id": theirs}), None, expected=False)

    # From the daemon

    def connected(self, info: dict[str, Any]) -> None:
        """There is a connection, and this is what `initialize` gave."""
        self.realm = info["realm_id"]

    def deliver(self, message: dict[str, Any]) -> bytes:
        """The line for a message of the daemon's; empty for what the client need not know."""
        if "method" not in message:
            return self._deliver_reply(message)
        if message["method"] == _LEAVING:
            self.restarting = message["params"].get("reason") == "restart"
            return b""
        if "id" in message:
            self._questions_asked += 1
            ours = f"srv-{self._questions_asked}"
            self._questions[ours] = message["id"]
            message = {**message, "id": ours}
        elif message["method"] in ("session/stream_event", "session/stream_end"):
            return self._deliver_of_stream(message)
        return line(message)

    def _deliver_reply(self, message: dict[str, Any]) -> bytes:
        call_id: Any = message.get("id")
        if call_id in self._reopening:
            return self._reopened(self._reopening.pop(call_id), message)
        if self.restarting and _is_refusal(message) and call_id in self._pending:
            return b""
        asked = self._pending.pop(call_id, None)
        if asked is not None and isinstance(message.get("result"), dict):
            self._note(asked, message["result"])
        return line(message)

    def _deliver_of_stream(self, message: dict[str, Any]) -> bytes:
        params = message["params"]
        known = next((name for name, each in self._streams.items() if each.now == params.get("stream_id")), None)
        if known is None:
            return line(message)
        stream = self._streams[known]
        if message["method"] == "session/stream_end":
            del self._streams[known]
            return line({**message, "params": {**params, "stream_id": known}})
        stream.sequence += 1
        stream.cursor = params["event"].get("seq", stream.cursor)
        return line({**message, "params": {**params, "stream_id": known, "sequence": stream.sequence}})

    def resume(self) -> bytes:
        """Frames for the first connection after a restart: what was not begun, and the streams again."""
        self.restarting = False
        frames = bytearray()
        for call_id, asked in self._pending.items():
            message = {"jsonrpc": "2.0", "id": call_id, "method": asked.method, "params": asked.params}
            frames += encode_frame(message, MAX_REQUEST_FRAME)
        for name, stream in self._streams.items():
            call_id = f"reopen-{name}"
            self._reopening[call_id] = name
            params = {**stream.params, "cursor": stream.cursor}
            message = {"jsonrpc": "2.0", "id": call_id, "method": "session/stream_open", "params": params}
            frames += encode_frame(message, MAX_REQUEST_FRAME)
        return bytes(frames)

    def _reopened(self, name: str, message: dict[str, Any]) -> bytes:
        if "result" in message:
            self._streams[name].now = message["result"]["stream_id"]
            return b""
        stream, error = self._streams.pop(name), from_error_object(message["error"])
        return _end_of_stream(name, stream.session_id, error)

    def _as_known_there(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message with a stream's id as the connection of the moment has it."""
        params = message.get("params")
        if message["method"] != "session/stream_close" or type(params) is not dict:
            return message
        stream_id: Any = params.get("stream_id")
        stream = self._streams.get(stream_id) if type(stream_id) is str else None
        return message if stream is None else {**message, "params": {**params, "stream_id": stream.now}}

    def lost(self, error: RkatError) -> bytes:
        """The connection is gone: lines that end every request in flight and every open stream with `error`."""
        ends = [error_line(call_id, error) for call_id in self._pending]
        ends += [_end_of_stream(name, stream.session_id, error) for name, stream in self._streams.items()]
        self._pending.clear()
        self._streams.clear()
        self._reopening.clear()
        self.restarting = False
        self._questions.clear()
        return b"".join(ends)

    def _note(self, asked: _Asked, result: dict[str, Any]) -> None:
        if asked.method == "session/stream_open":
            self._streams[result["stream_id"]] = _Stream(asked.params, result)
        elif asked.method == "session/stream_close":
            self._streams.pop(str(asked.params.get("stream_id")), None)
        elif asked.method == "tools/register":
            self._tools.update((tool["name"], tool) for tool in asked.params["tools"])


def _is_refusal(message: dict[str, Any]) -> bool:
    """Whether the daemon says that it restarts and has not begun this."""
    error = message.get("error")
    if error is None:
        return False
    told = from_error_object(error)
    return told.code == "SHUTTING_DOWN" and bool(told.details.get("restarting"))


def _end_of_stream(stream_id: str, session_id: str, error: RkatError) -> bytes:
    params = {
        "stream_id": stream_id,
        "session_id": session_id,
        "ended": True,
        "outcome": "terminal_error",
        "error": {"code": error.code, "message": error.message},
    }
    return line({"jsonrpc": "2.0", "method": "session/stream_end", "params": params})


def _greet(call_id: int | str, params: Any) -> Action:
    named = [name for name in _NOT_HERE if type(params) is dict and params.get(name)]
    if not named:
        return Greet(call_id)
    refused = RkatError(
        "INVALID_PARAMS",
        f"{named[0]}: the command line of rkat-rpc decides this, not initialize.",
        hint="`rkat-rpc --help` shows its options.",
        details={"field": named[0]},
    )
    return Reply(error_line(call_id, refused))


def _too_long(text: LongLine) -> RkatError:
    error = RkatError(
        "REQUEST_TOO_LARGE",
        f"The line has {'more than ' if text.fatal else ''}{text.length} bytes; a request may have "
        f"{MAX_REQUEST_FRAME} once it is a frame.",
        details={"size": text.length, "limit": MAX_REQUEST_FRAME},
    )
    if text.fatal:
        error.hint = f"Nothing after it is read: no line may have more than {MAX_LINE} bytes."
    return error


def _frame(message: dict[str, Any]) -> bytes:
    """The frame of a message that the daemon will be able to read, and thus to answer with its id.

    Raises:
        WireError: it is too large.
    """
    frame = encode_frame(message, MAX_REQUEST_FRAME)
    require_few(frame[HEADER_BYTES:])
    return frame


def _frame_or_refusal(message: dict[str, Any]) -> bytes:
    """The frame of an answer; one that cannot be sent becomes an error that says why, so that no turn waits for it."""
    try:
        return _frame(message)
    except WireError as error:
        return _refusal(message.get("id"), error.message)


def _refusal(call_id: Any, text: str) -> bytes:
    """The frame that tells the daemon that what it asked for failed."""
    error = {"code": row("INTERNAL_ERROR").rpc, "message": text}
    return encode_frame({"jsonrpc": "2.0", "id": call_id, "error": error}, MAX_REQUEST_FRAME)
