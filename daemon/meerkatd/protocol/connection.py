"""The server's half of one connection, without I/O: which message means what, and when it may come.

The caller passes each decoded message to `receive` and does what it returns; it reports finished calls with `finish`.
What is allowed when is the table `_ADMITTED`. `initialize` comes first and alone: no other request is admitted before
its answer, and one that fails may be tried again.
"""

from enum import Enum, auto
from typing import Any, NamedTuple

from meerkat_client.wire.limits import MAX_ID_BYTES, MAX_ID_INTEGER, MAX_IN_FLIGHT, MAX_METHOD_BYTES

from .envelope import error_reply, refusal
from .port import Call, ErrorObject


class State(Enum):
    AWAITING_INITIALIZE = auto()
    INITIALIZING = auto()
    READY = auto()
    LEAVING = auto()
    CLOSING = auto()
    CLOSED = auto()


class Begin(NamedTuple):
    """A request to carry out."""

    call: Call


class Refuse(NamedTuple):
    """A reply to send at once."""

    reply: dict[str, Any]


class CancelCall(NamedTuple):
    """The client no longer wants the result of this call."""

    call: Call


class Answer(NamedTuple):
    """The client's reply to a request of ours; `refused` is its error's text."""

    request_id: str
    result: Any
    refused: str | None


class Nothing(NamedTuple):
    """A message that asks for nothing, such as an unknown notification."""


Action = Begin | Refuse | CancelCall | Answer | Nothing

_INITIALIZE = "initialize"
# For each state: whether `initialize` is admitted, whether other requests are, and what to tell who comes at the
# wrong time.
_ADMITTED: dict[State, tuple[bool, bool, str]] = {
    State.AWAITING_INITIALIZE: (True, False, "The first request of a connection must be initialize."),
    State.INITIALIZING: (False, False, "Wait for the reply to initialize before the next request."),
    State.READY: (False, True, "This connection is initialized already."),
    State.LEAVING: (False, False, "The daemon is leaving; this was not begun."),
    State.CLOSING: (False, False, "This connection is closing."),
    State.CLOSED: (False, False, "This connection is closed."),
}
_REQUEST_MEMBERS = frozenset(("jsonrpc", "id", "method", "params"))


class Connection:
    """State of one connection: its phase and its calls in flight."""

    def __init__(self) -> None:
        self.state = State.AWAITING_INITIALIZE
        self.calls: dict[int | str, Call] = {}
        self._leaving_details: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<Connection {self.state.name} in_flight={len(self.calls)}>"

    def receive(self, message: Any) -> Action:
        """Classify one message and take it into account."""
        if type(message) is not dict:
            return _refuse(None, "INVALID_REQUEST", "A message must be one object; batches are not supported.")
        if message.get("jsonrpc") != "2.0":
            return _refuse(_usable_id(message.get("id")), "INVALID_REQUEST", 'jsonrpc must be "2.0".')
        if "method" not in message:
            return _answer(message)
        if "id" not in message:
            return self._notification(message)
        return self._request(message)

    def finish(self, call: Call, error: ErrorObject | None) -> None:
        """`call` is over, and its reply may be sent."""
        self.calls.pop(call.id, None)
        if self.state is State.INITIALIZING and call.method == _INITIALIZE:
            self.state = State.READY if error is None else State.AWAITING_INITIALIZE

    def leaving(self, details: dict[str, Any]) -> None:
        """Refuse what comes from now on with SHUTTING_DOWN and `details`; what is in flight is still answered."""
        self.state = State.LEAVING
        self._leaving_details = details

    def closing(self) -> None:
        """Admit nothing any more; what is in flight may still be answered."""
        if self.state is not State.CLOSED:
            self.state = State.CLOSING

    def closed(self) -> None:
        self.state = State.CLOSED
        self.calls.clear()

    def _request(self, message: dict[str, Any]) -> Action:
        call_id = _usable_id(message["id"])
        if call_id is None:
            return _refuse(None, "INVALID_REQUEST", "id must be an integer of 64 bits or a text of up to 1024 bytes.")
        unknown = message.keys() - _REQUEST_MEMBERS
        if unknown:
            return _refuse(call_id, "INVALID_REQUEST", f"A request has no member {min(unknown)!r}.")
        method = message["method"]
        if type(method) is not str or not 0 < len(method.encode()) <= MAX_METHOD_BYTES:
            return _refuse(call_id, "INVALID_REQUEST", "method must be a text of 1 to 256 bytes.")
        params = message.get("params")
        if params is not None and type(params) is not dict:
            return _refuse(call_id, "INVALID_PARAMS", "params must be an object.")
        return self._admit(Call(call_id, method, params))

    def _admit(self, call: Call) -> Action:
        initialize, others, reason = _ADMITTED[self.state]
        if not (initialize if call.method == _INITIALIZE else others):
            if self.state is State.LEAVING:
                return _refuse(call.id, "SHUTTING_DOWN", reason, self._leaving_details)
            return _refuse(call.id, "INVALID_REQUEST", reason)
        if call.id in self.calls:
            return _refuse(call.id, "DUPLICATE_INPUT", "A request with this id is in flight.")
        if len(self.calls) >= MAX_IN_FLIGHT:
            return _refuse(
                call.id,
                "OVERLOADED",
                f"{MAX_IN_FLIGHT} requests of this connection are in flight.",
                {"limit": MAX_IN_FLIGHT},
            )
        self.calls[call.id] = call
        if call.method == _INITIALIZE:
            self.state = State.INITIALIZING
        return Begin(call)

    def _notification(self, message: dict[str, Any]) -> Action:
        if message["method"] != "cancel":
            return Nothing()
        params = message.get("params")
        wanted = _usable_id(params.get("request_id")) if type(params) is dict else None
        call = self.calls.get(wanted) if wanted is not None else None
        return CancelCall(call) if call else Nothing()


def _answer(message: dict[str, Any]) -> Action:
    call_id = _usable_id(message.get("id"))
    if ("result" in message) == ("error" in message):
        return _refuse(call_id, "INVALID_REQUEST", "A message needs a method, or exactly one of result and error.")
    if type(call_id) is not str:
        return Nothing()
    if "result" in message:
        return Answer(call_id, message["result"], None)
    error = message["error"]
    text = error.get("message") if type(error) is dict else None
    return Answer(call_id, None, text if type(text) is str and text else "the client gave no reason")


def _usable_id(value: Any) -> int | str | None:
    """`value` if it can be an id. A boolean is none, although Python counts it among the integers."""
    if type(value) is int:
        return value if -MAX_ID_INTEGER < value < MAX_ID_INTEGER else None
    if type(value) is str:
        return value if len(value.encode()) <= MAX_ID_BYTES else None
    return None


def _refuse(call_id: int | str | None, code: str, text: str, details: dict[str, Any] | None = None) -> Refuse:
    return Refuse(error_reply(call_id, refusal(code, text, details)))
