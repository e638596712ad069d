"""Events: what happens in a session, as it happens.

Every session has one sequence of events, numbered 1, 2, 3, ...; the number is the cursor. Kinds are those of the public
contract. A reader that fell behind gets `stream_truncated` with the number of events it missed, never silence.
"""

from typing import Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from .approval import Approval
from .base import Offset, Params, SessionRef, ShortText
from .message import Content
from .turn import ActiveTurn, Usage


class EventSource(TypedDict):
    type: Literal["session"]
    session_id: str


class RunInput(TypedDict):
    kind: Literal["content"]
    content: Content


class RunIdentity(TypedDict):
    run_id: str


class RunStarted(TypedDict):
    type: Literal["run_started"]
    session_id: str
    input: RunInput
    identity: RunIdentity


class RunCompleted(TypedDict):
    """The turn is committed. `extraction_required` is False: `structured_output` is here when there is one."""

    type: Literal["run_completed"]
    session_id: str
    result: str
    usage: Usage
    structured_output: NotRequired[Any]
    extraction_required: bool


# `class` is no name that Python's class syntax allows.
ErrorReport = TypedDict("ErrorReport", {"class": str, "message": str})


class RunFailed(TypedDict):
    """The turn failed, or was interrupted (`error_class` "cancelled"); what was produced is committed."""

    type: Literal["run_failed"]
    session_id: str
    error: str
    error_class: str
    error_report: ErrorReport
    terminal_cause_kind: NotRequired[str]


class TurnStarted(TypedDict):
    """A call of the model begins; `turn_number` counts them within the turn, from 1."""

    type: Literal["turn_started"]
    turn_number: int


class Delta(TypedDict):
    type: Literal["text_delta", "reasoning_delta"]
    delta: str


class Complete(TypedDict):
    type: Literal["text_complete", "reasoning_complete"]
    content: str


class ToolCallRequested(TypedDict):
    type: Literal["tool_call_requested"]
    id: str
    name: str
    args: dict[str, Any]


class ToolExecutionStarted(TypedDict):
    type: Literal["tool_execution_started"]
    id: str
    name: str


class ToolExecutionCompleted(TypedDict):
    type: Literal["tool_execution_completed"]
    id: str
    name: str
    content: list[dict[str, Any]]
    is_error: bool
    duration_ms: int


class ToolExecutionTimedOut(TypedDict):
    type: Literal["tool_execution_timed_out"]
    id: str
    name: str
    timeout_ms: int


class ToolResultReceived(TypedDict):
    type: Literal["tool_result_received"]
    id: str
    name: str
    is_error: bool
    content: list[dict[str, Any]]


class TurnCompleted(TypedDict):
    """A call of the model has ended."""

    type: Literal["turn_completed"]
    stop_reason: str
    usage: Usage


class BudgetWarning(TypedDict):
    """A budget is used to four fifths; told once for each time that it happens.

    `used` and `limit` are tokens, milliseconds, tool calls, or nano-dollars, as `budget_type` says.
    """

    type: Literal["budget_warning"]
    budget_type: Literal["tokens", "time", "tool_calls", "cost"]
    used: int
    limit: int
    percent: float
    scope: Literal["turn", "session", "realm"]


class ToolConfigChange(TypedDict):
    """`status` is `applied`, or `failed: ` and why."""

    operation: Literal["add", "remove", "reload"]
    target: str
    status: str
    persisted: bool


class ToolConfigChanged(TypedDict):
    """An MCP server of the turn came, went, cannot be used, or can be again."""

    type: Literal["tool_config_changed"]
    payload: ToolConfigChange


class ApprovalChanged(TypedDict):
    """A tool call waits for a person, or has got its answer (or will get none: `cancelled`).

    Not of the public contract: connections that announce one of its versions are not told.
    """

    type: Literal["approval_requested", "approval_decided"]
    approval: Approval


class RetryPlan(TypedDict):
    attempt: int
    max_retries: int
    selected_delay_ms: int


class RetryFailure(TypedDict):
    message: str


class Retry(TypedDict):
    plan: RetryPlan
    failure: RetryFailure


class Retrying(TypedDict):
    type: Literal["retrying"]
    retry: Retry


class CompactionStarted(TypedDict):
    """The older part of the context is being summarised. Tokens are those of the last call, and an estimate."""

    type: Literal["compaction_started"]
    input_tokens: int
    estimated_history_tokens: int
    message_count: int


class SummaryBound(TypedDict):
    """How much of the older part the summary was made from; `through` is the last kind of text that was cut."""

    kind: Literal["whole", "trimmed"]
    through: NotRequired[Literal["tool_results", "context", "user_requests"]]


class SummarySource(TypedDict):
    kind: Literal["provider_call"]
    source_bound: SummaryBound


class CompactionCompleted(TypedDict):
    """A summary stands for the older part from now on; the transcript stays as it is. Messages are those that the model
    sees."""

    type: Literal["compaction_completed"]
    summary_tokens: int
    messages_before: int
    messages_after: int
    estimated_history_tokens_after: int
    summary_source: SummarySource


class CompactionFailure(TypedDict):
    kind: Literal["llm_failed", "empty_summary"]
    error_class: NotRequired[str]
    message: NotRequired[str]


class CompactionFailed(TypedDict):
    """There is no summary; a turn goes on with the context that it has."""

    type: Literal["compaction_failed"]
    reason: CompactionFailure


class TruncationReason(TypedDict):
    kind: Literal["stream_lagged"]
    dropped: int


class StreamTruncated(TypedDict):
    """This reader missed `dropped` events; what follows is whole again. Its `seq` is that of the last missed event."""

    type: Literal["stream_truncated"]
    reason: TruncationReason


EventPayload = (
    RunStarted
    | RunCompleted
    | RunFailed
    | TurnStarted
    | Delta
    | Complete
    | ToolCallRequested
    | ToolExecutionStarted
    | ToolExecutionCompleted
    | ToolExecutionTimedOut
    | ToolResultReceived
    | TurnCompleted
    | Retrying
    | BudgetWarning
    | CompactionStarted
    | CompactionCompleted
    | CompactionFailed
    | ToolConfigChanged
    | ApprovalChanged
    | StreamTruncated
)


class EventEnvelope(TypedDict):
    event_id: str
    source: EventSource
    seq: int
    timestamp_ms: int
    payload: EventPayload


class SessionEvent(TypedDict):
    """Notification `session/event`: an event of a turn that this connection started."""

    session_id: str
    event: EventEnvelope


class StreamEvent(TypedDict):
    """Notification `session/stream_event`. `sequence` counts within the stream, from 1; `event.seq` is the cursor."""

    stream_id: str
    sequence: int
    session_id: str
    event: EventEnvelope


class StreamEnd(TypedDict):
    """Notification `session/stream_end`."""

    stream_id: str
    session_id: str
    ended: bool
    outcome: Literal["remote_end", "explicit_close", "terminal_error"]


class StreamOpen(Params):
    """`session/stream_open`: follow a session's events."""

    session_id: SessionRef
    cursor: Offset | None = Field(
        None,
        description="Events after this one; from the start of the running turn, or from now, when absent.",
    )
    until: Literal["closed", "turn_end"] = Field(
        "closed", description="`turn_end` ends the stream by itself when the running turn has ended."
    )


class StreamClose(Params):
    """`session/stream_close`."""

    stream_id: ShortText


class StreamOpened(TypedDict):
    """Result of `session/stream_open`. `cursor` is where the stream begins."""

    stream_id: str
    session_id: str
    opened: bool
    cursor: int
    active_turn: NotRequired[ActiveTurn]


class StreamClosed(TypedDict):
    """Result of `session/stream_close`."""

    stream_id: str
    closed: bool
    already_closed: bool
