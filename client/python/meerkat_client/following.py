"""Following a session's events over connections that may break. State only, no I/O; both clients drive it.

A stream has a connection of its own, so a slow reader holds up nobody else. What is asked on a fresh one is
`openings`; what comes over it goes into `take`, which drops what was seen before. After a loss the same is done again.
"""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from ._protocol import Pending
from .errors import ConnectionLostError, RkatError, TurnError
from .events import Event, EventEnvelope, RunCompleted, RunFailed, RunStarted, StreamTruncated, parse_envelope
from .requests import Ask
from .results import RunResult

# A stream whose daemon somebody stopped looks whether one runs again: soon, in case that was for a moment only, and
# then ever more rarely.
LOOK_SECONDS = 0.2
MOST_LOOK_SECONDS = 5.0

Asked = tuple[str, dict[str, Any]]
T_co = TypeVar("T_co", covariant=True)


class _Follower(Generic[T_co]):
    """What a turn's stream and a subscription have in common.

    Attributes:
        cursor: the last event seen; None before the first.
    """

    def __init__(self, session_id: str | None, cursor: int | None) -> None:
        self.session_id = session_id
        self.cursor = cursor
        self._stream: Pending | None = None
        self.stream_outcome: str | None = None

    @property
    def stream_id(self) -> str | None:
        if self._stream is None or not self._stream.done:
            return None
        try:
            return str(self._stream.result()["stream_id"])
        except RkatError:
            return None

    def _envelope(self, method: str, params: dict[str, Any]) -> EventEnvelope | None:
        """The event in a notification, unless it is none or was seen before."""
        if method == "session/stream_end":
            self.stream_outcome = params.get("outcome", "remote_end")
            return None
        if method not in ("session/event", "session/stream_event"):
            return None
        envelope = parse_envelope(params["event"])
        if self.cursor is not None and envelope.seq <= self.cursor:
            return None
        self.cursor = envelope.seq
        return envelope


class TurnFollower(_Follower[Event]):
    """A turn of our own: its events, then its result.

    At first the request itself brings the events. Asked again after a loss, with the same idempotency key, it brings
    the result only, and an event stream brings what came after the last event seen.

    Attributes:
        run_id: the turn's id, once it has begun.
    """

    def __init__(self, ask: Ask[RunResult], session_id: str | None) -> None:
        super().__init__(session_id, None)
        self.run_id: str | None = None
        self._ask = ask
        self._reply: Pending | None = None
        self._turn_over = False
        self._asked_again = False
        self._gap_told = False

    def openings(self) -> list[Asked]:
        """What to ask on a fresh connection, in order; give what came of it to `sent`."""
        self._asked_again = self._reply is not None
        self._stream, self._reply, self.stream_outcome = None, None, None
        if self.cursor is None:
            return [_asked(self._ask.with_events(True))]
        stream = {"session_id": self.session_id, "cursor": self.cursor, "until": "turn_end"}
        return [("session/stream_open", stream), _asked(self._ask)]

    def sent(self, pendings: Sequence[Pending]) -> None:
        self._reply = pendings[-1]
        self._stream = pendings[0] if len(pendings) > 1 else None

    @property
    def reply(self) -> Pending | None:
        """The call whose result is the turn's."""
        return self._reply

    def take(self, method: str, params: dict[str, Any]) -> Event | None:
        """The event in a notification, if it is a new one of this turn."""
        if self._turn_over and method != "session/stream_end":
            return None
        envelope = self._envelope(method, params)
        if envelope is None:
            return None
        event = envelope.payload
        if isinstance(event, RunStarted) and self.run_id is not None and event.run_id != self.run_id:
            # Ours was lost with its daemon, and somebody else's turn has begun since.
            self._turn_over = True
            return None
        self.session_id = envelope.session_id
        if isinstance(event, RunStarted):
            self.run_id = event.run_id
        self._turn_over = isinstance(event, RunCompleted | RunFailed)
        self._gap_told = isinstance(event, StreamTruncated)
        return event

    def settled(self) -> bool:
        """Whether there is nothing more to wait for on this connection."""
        if self._reply is None or not self._reply.done:
            return False
        return self._turn_over or self._stream is None or self.stream_outcome is not None or self._stream_refused()

    def last_word(self) -> Event | None:
        """Asked when it is settled, before the result: the gap at the end of a turn, if nothing has told it, once."""
        if not self._asked_again or self._turn_over or self._gap_told or not self._has_run():
            return None
        self._gap_told = True
        return StreamTruncated(seq=self.cursor or 0, kind="connection_lost", dropped=None)

    def result(self) -> RunResult:
        """Asked when it is settled.

        Raises:
            RkatError: why there is none.
        """
        assert self._reply is not None, "a turn is settled by its reply"
        return self._ask.parse(self._reply.result())

    def _has_run(self) -> bool:
        """Whether the turn had begun at all, as its reply tells."""
        try:
            self.result()
        except TurnError:
            return True
        except RkatError:
            return False
        return True

    def _stream_refused(self) -> bool:
        if self._stream is None or not self._stream.done:
            return False
        try:
            self._stream.result()
        except RkatError as error:
            return not isinstance(error, ConnectionLostError)
        return False


class SubscriptionFollower(_Follower[EventEnvelope]):
    """The events of any session, of all of its turns."""

    def __init__(self, session_id: str, cursor: int | None) -> None:
        super().__init__(session_id, cursor)

    def openings(self) -> list[Asked]:
        self._stream, self.stream_outcome = None, None
        params: dict[str, Any] = {"session_id": self.session_id}
        if self.cursor is not None:
            params["cursor"] = self.cursor
        return [("session/stream_open", params)]

    def sent(self, pendings: Sequence[Pending]) -> None:
        self._stream = pendings[0]

    def opened(self) -> bool:
        """Whether the daemon has answered.

        Raises:
            RkatError: it refused.
        """
        if self._stream is None or not self._stream.done:
            return False
        result = self._stream.result()
        self.session_id = result["session_id"]
        if self.cursor is None:
            self.cursor = result["cursor"]
        return True

    def take(self, method: str, params: dict[str, Any]) -> EventEnvelope | None:
        """The event in a notification, if it is a new one."""
        return self._envelope(method, params)

    def settled(self) -> bool:
        return self.stream_outcome is not None


def not_over(what: str) -> RkatError:
    """The error of asking for a result too early."""
    return RkatError(
        "INVALID_REQUEST", f"The {what} has not ended, so there is no result yet.", hint="Read it to its end first."
    )


class Losses:
    """How often in a row a connection may break under one request before it is given up."""

    # A daemon that dies of the request itself is started again for each try.
    _MOST = 4

    def __init__(self) -> None:
        self._count = 0

    def reset(self) -> None:
        self._count = 0

    def count(self, error: RkatError, *, repeatable: bool = True) -> None:
        """Raise `error` unless it is a lost connection and asking again makes sense."""
        self._count += 1
        if not isinstance(error, ConnectionLostError) or self._count > self._MOST:
            raise error
        if error.begun and not repeatable:
            raise error


def _asked(ask: Ask[Any]) -> Asked:
    return ask.method, dict(ask.params)
