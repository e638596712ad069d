"""A session, as one holds it in one's hands: a handle by id. It has no state of the session's but the last result."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from .. import requests
from ..history import SessionHistory
from ..options import Prompt, TurnOptions
from ..results import InterruptResult, RunResult, SessionDetails, Usage
from .link import Link
from .streams import EventStream, EventSubscription

if TYPE_CHECKING:
    # Generated, and of a hundred shapes: what loads them pays for all.
    from ..types import ContextInjected, ExternalEventOutcome, SessionCompacted


class SessionHandle:
    """What one can do with a session without running a turn of one's own."""

    def __init__(self, link: Link, session_id: str, ref: str | None = None) -> None:
        self._link = link
        self._id = session_id
        self._ref = ref

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._id}>"

    @property
    def id(self) -> str:
        return self._id

    @property
    def ref(self) -> str:
        """`realm:id`, which names the session in every realm."""
        return self._ref or f"{self._link.info['realm_id']}:{self._id}"

    async def read(self) -> SessionDetails:
        """What the session is, and how its last turn ended."""
        return await self._link.ask(requests.read_session(self._id))

    async def history(self, offset: int = 0, limit: int | None = None) -> SessionHistory:
        """Committed messages, oldest first; 100 of them without a limit, and 1000 at most."""
        return await self._link.ask(requests.history(self._id, offset, limit))

    async def interrupt(self, turn_id: str | None = None) -> InterruptResult:
        """Stop the running turn, whoever started it; answered when what it had produced is committed.

        Raises:
            SessionNotRunningError: no turn is running, or not the one that is named.
        """
        return await self._link.ask(requests.interrupt(self._id, turn_id))

    async def archive(self, *, idempotency_key: str | None = None) -> None:
        """Take it off the list; its history stays readable, and every change is refused."""
        await self._link.ask(requests.set_archived(self._id, True, idempotency_key))

    async def unarchive(self, *, idempotency_key: str | None = None) -> None:
        """Undo `archive`."""
        await self._link.ask(requests.set_archived(self._id, False, idempotency_key))

    async def label(self, labels: Mapping[str, str | None]) -> dict[str, str]:
        """Set labels, or remove those that are None, and leave the others; returns all of them."""
        return await self._link.ask(requests.label(self._id, labels))

    async def inject_context(
        self, text: str, *, source: str | None = None, idempotency_key: str | None = None
    ) -> "ContextInjected":
        """Add to the transcript without asking for an answer.

        Its `status` is `applied`; `staged` while a turn runs, whose next step then sees it; or `duplicate`.
        """
        return await self._link.ask(requests.inject_context(self._id, text, source, idempotency_key))

    async def send_external_event(
        self,
        event_type: str,
        payload: Any,
        *,
        blocks: Sequence[Any] | None = None,
        source: str | None = None,
        idempotency_key: str | None = None,
    ) -> "ExternalEventOutcome":
        """Tell the session of something that happened outside, without asking for an answer.

        Args:
            event_type: what happened, such as `build.finished`.
            payload: any JSON; the model reads it.
            blocks: text blocks for the model, after the payload.
            source: who tells it; `sdk` without one.

        Its `outcome_type` is `accepted`, or `deduplicated` when the key is that of an earlier one.
        """
        ask = requests.external_event(self._id, event_type, payload, blocks, source, idempotency_key)
        return await self._link.ask(ask)

    async def subscribe_events(self, *, cursor: int | None = None) -> EventSubscription:
        """Follow what happens in the session.

        Args:
            cursor: events after this one; without it from the start of the running turn, or from now.
        """
        return await EventSubscription(self._link, self._id, cursor=cursor).open()


class Session(SessionHandle):
    """A session that takes turns.

    The properties beside `id` and `ref` are those of the last turn that this object ran.
    """

    def __init__(self, link: Link, session_id: str, ref: str | None = None, result: RunResult | None = None) -> None:
        super().__init__(link, session_id, ref)
        self._last_result = result

    @property
    def last_result(self) -> RunResult | None:
        return self._last_result

    @property
    def text(self) -> str:
        return self._last_result.text if self._last_result is not None else ""

    @property
    def usage(self) -> Usage:
        return self._last_result.usage if self._last_result is not None else Usage()

    @property
    def turns(self) -> int:
        """Calls of the model in the last turn."""
        return self._last_result.turns if self._last_result is not None else 0

    @property
    def tool_calls(self) -> int:
        return self._last_result.tool_calls if self._last_result is not None else 0

    @property
    def structured_output(self) -> Any:
        """The value that the last answer is, when it had an output schema."""
        return self._last_result.structured_output if self._last_result is not None else None

    async def turn(self, prompt: Prompt, **options: Unpack[TurnOptions]) -> RunResult:
        """Run one turn and wait for its result, over lost connections if need be.

        Raises:
            SessionBusyError: another turn is running; at once, naming who runs it.
            TurnError: it failed, was interrupted, or was lost with its daemon; the session can go on.

        Cancellation: the turn is interrupted, what it had produced is kept, and its end is waited for.
        """
        result = await self._link.ask(requests.turn(self._id, prompt, options))
        self.note(result)
        return result

    def stream(self, prompt: Prompt, **options: Unpack[TurnOptions]) -> EventStream:
        """One turn, with its events as they come; it starts when the stream is entered or iterated."""
        ask = requests.turn(self._id, prompt, options)
        return EventStream(self._link, ask, session=self, session_id=self._id)

    async def compact(
        self, *, recent_turns: int | None = None, idempotency_key: str | None = None
    ) -> "SessionCompacted":
        """Let a summary stand for the older part of what the model sees; the history stays as it is.

        The last `recent_turns` turns stay; as many as the config says, when it is None.

        Raises:
            SessionBusyError: a turn is running.
            TurnError: there is no summary; nothing was changed.
        """
        return await self._link.ask(requests.compact(self._id, recent_turns, idempotency_key))

    async def fork_at(self, message_index: int, *, idempotency_key: str | None = None) -> "Session":
        """A new session that begins with the first `message_index` messages of this one, which stays as it is."""
        forked = await self._link.ask(requests.fork_at(self._id, message_index, idempotency_key))
        return Session(self._link, forked["session_id"], forked["session_ref"])

    def note(self, result: RunResult) -> None:
        """Take a turn's result as the last one."""
        self._last_result = result


class DeferredSession(SessionHandle):
    """A session whose first turn has not run yet; everybody sees it, and it outlives this program."""

    async def start_turn(self, prompt: Prompt, **options: Unpack[TurnOptions]) -> RunResult:
        """Run the first turn: the prompt of the session and this one together. Raises as `Session.turn`."""
        return await self._link.ask(requests.turn(self._id, prompt, options))

    def stream(self, prompt: Prompt, **options: Unpack[TurnOptions]) -> EventStream:
        """As `start_turn`, with the events as they come."""
        ask = requests.turn(self._id, prompt, options)
        return EventStream(self._link, ask, session=None, session_id=self._id)

    def session(self) -> Session:
        """The same session, for the turns after the first one."""
        return Session(self._link, self._id, self._ref)
