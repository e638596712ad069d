"""What happens in a session, as typed events. A kind that this client does not know is an `UnknownEvent`.

    match event:
        case TextDelta(delta=text):
            print(text, end="")
        case ToolExecutionCompleted(name=name, is_error=True):
            print(f"{name} failed")

`seq` numbers the events of a session, counts up, and is never used twice: it is the cursor from which to go on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .history import text_of
from .results import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A turn has begun. `prompt` is its text, `run_id` the id of the turn."""

    session_id: str
    run_id: str | None
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCompleted(Event):
    """The turn is committed."""

    session_id: str
    result: str
    usage: Usage
    structured_output: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed(Event):
    """The turn failed, or was interrupted (`error_class` "cancelled"); what it had produced is committed."""

    session_id: str
    error: str
    error_class: str
    terminal_cause_kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted(Event):
    """A call of the model begins; `turn_number` counts them within the turn, from 1."""

    turn_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCompleted(Event):
    """A call of the model has ended."""

    stop_reason: str
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta(Event):
    delta: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextComplete(Event):
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningDelta(Event):
    delta: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningComplete(Event):
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallRequested(Event):
    id: str
    name: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolExecutionStarted(Event):
    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolExecutionCompleted(Event):
    """`text` is what the tool gave."""

    id: str
    name: str
    text: str
    is_error: bool
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolExecutionTimedOut(Event):
    id: str
    name: str
    timeout_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResultReceived(Event):
    """`text` is what the model is told."""

    id: str
    name: str
    text: str
    is_error: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying(Event):
    """The provider failed and is asked again after `delay_ms`."""

    attempt: int
    max_retries: int
    delay_ms: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetWarning(Event):
    """A budget is used to four fifths. `used` and `limit` are tokens, milliseconds, calls, or nano-dollars."""

    budget_type: str
    used: int
    limit: int
    percent: float
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionStarted(Event):
    """The older part of what the model sees is being summarised."""

    input_tokens: int
    estimated_history_tokens: int
    message_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionCompleted(Event):
    """A summary stands for the older part; messages are those that the model sees."""

    summary_tokens: int
    messages_before: int
    messages_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionFailed(Event):
    """There is no summary; a turn goes on with the context that it has. `reason` has `kind`, and mostly `message`."""

    reason: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTruncated(Event):
    """Events are missing here, at most `dropped` of them (None: nobody knows); what follows is whole again."""

    kind: str
    dropped: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent(Event):
    """An event of a kind that this client does not know, as it came."""

    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEnvelope:
    """An event of a session with what is known about it."""

    event_id: str
    session_id: str
    seq: int
    timestamp_ms: int
    payload: Event


# Kinds whose fields are those of their class.
_PLAIN: dict[str, type[Event]] = {
    "turn_started": TurnStarted,
    "text_delta": TextDelta,
    "text_complete": TextComplete,
    "reasoning_delta": ReasoningDelta,
    "reasoning_complete": ReasoningComplete,
    "tool_call_requested": ToolCallRequested,
    "tool_execution_started": ToolExecutionStarted,
    "tool_execution_timed_out": ToolExecutionTimedOut,
    "run_failed": RunFailed,
    "budget_warning": BudgetWarning,
    "compaction_started": CompactionStarted,
    "compaction_completed": CompactionCompleted,
    "compaction_failed": CompactionFailed,
}


def parse_envelope(wire: Mapping[str, Any]) -> EventEnvelope:
    """An envelope as the daemon sends it."""
    seq = wire["seq"]
    return EventEnvelope(
        event_id=wire["event_id"],
        session_id=wire["source"]["session_id"],
        seq=seq,
        timestamp_ms=wire["timestamp_ms"],
        payload=parse_event(wire["payload"], seq=seq),
    )


def parse_event(wire: Mapping[str, Any], *, seq: int) -> Event:
    """The payload of an envelope."""
    kind = wire["type"]
    try:
        plain = _PLAIN.get(kind)
        if plain is not None:
            return plain(seq=seq, **{name: wire[name] for name in plain.__slots__ if name in wire})
        event = _special(kind, wire, seq)
    except (KeyError, TypeError):
        # A daemon of another version may shape a kind otherwise; its reader still gets to see it.
        event = None
    return event or UnknownEvent(seq=seq, type=str(kind), data=wire)


def _special(kind: str, wire: Mapping[str, Any], seq: int) -> Event | None:
    match kind:
        case "run_started":
            run_id = (wire.get("identity") or {}).get("run_id")
            prompt = text_of(wire["input"]["content"])
            return RunStarted(seq=seq, session_id=wire["session_id"], run_id=run_id, prompt=prompt)
        case "run_completed":
            usage = Usage.parse(wire["usage"])
            return RunCompleted(
                seq=seq,
                session_id=wire["session_id"],
                result=wire["result"],
                usage=usage,
                structured_output=wire.get("structured_output"),
            )
        case "turn_completed":
            return TurnCompleted(seq=seq, stop_reason=wire["stop_reason"], usage=Usage.parse(wire["usage"]))
        case "tool_execution_completed":
            return ToolExecutionCompleted(
                seq=seq,
                id=wire["id"],
                name=wire["name"],
                text=text_of(wire["content"]),
                is_error=wire["is_error"],
                duration_ms=wire["duration_ms"],
            )
        case "tool_result_received":
            text = text_of(wire["content"])
            return ToolResultReceived(seq=seq, id=wire["id"], name=wire["name"], text=text, is_error=wire["is_error"])
        case "retrying":
            plan, failure = wire["retry"]["plan"], wire["retry"]["failure"]
            return Retrying(
                seq=seq,
                attempt=plan["attempt"],
                max_retries=plan["max_retries"],
                delay_ms=plan["selected_delay_ms"],
                error=failure["message"],
            )
        case "stream_truncated":
            reason = wire["reason"]
            return StreamTruncated(seq=seq, kind=reason["kind"], dropped=reason.get("dropped"))
    return None
