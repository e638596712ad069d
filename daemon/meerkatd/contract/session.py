"""Sessions: create, list, read, history, archive, fork, inject context, external events."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from .base import (
    DEFAULT_LIMIT,
    IdempotencyKey,
    JsonObject,
    Labels,
    Limit,
    Offset,
    Params,
    SessionRef,
    ShortText,
    Text,
)
from .budget import Budget, BudgetLimits
from .message import Message
from .tool import Task, ToolLevel
from .turn import ActiveTurn, Cost, Instructions, OutputRetries, OutputSchema, Prompt, PromptText, TurnInfo, Usage

# More than fit into any window.
MAX_RECENT_TURNS = 10_000


class SessionCreate(Params):
    """`session/create`: build the agent, store the session, and run its first turn."""

    prompt: Prompt
    initial_turn: Literal["run_immediately", "deferred"] = Field(
        "run_immediately", description="`deferred` stores session and prompt; the first `turn/start` runs it."
    )
    model: ShortText | None = Field(None, description="Name of a model; the config's default when absent.")
    provider: ShortText | None = Field(None, description="anthropic, openai, gemini, local, or a configured server.")
    system_prompt: Text | None = None
    max_tokens: Annotated[int, Field(gt=0)] | None = Field(None, description="Limit for each answer of the model.")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    provider_params: JsonObject | None = Field(None, description="Merged into the provider's request as they are.")
    additional_instructions: Instructions | None = Field(None, description="Said with the system prompt of each turn.")
    project_instructions: bool | None = Field(
        None, description="Read AGENTS.md of the workspace; the config's `agent.project_instructions` when absent."
    )
    output_schema: OutputSchema | None = Field(None, description="What the answer of each turn has to be.")
    structured_output_retries: OutputRetries | None = None
    tools: ToolLevel | None = Field(
        None, description="How much the built-in tools may do; the config's `tools.level` when absent."
    )
    enable_builtins: bool | None = Field(None, description="The same: true is `safe`, false is `none`. Or use `tools`.")
    enable_shell: bool | None = Field(None, description="The same: true is `full`.")
    workspace: Annotated[Text, Field(max_length=4096)] | None = Field(
        None, description="The folder, absolute, that the built-in tools work in; default that of `initialize`."
    )
    budget_limits: BudgetLimits | None = Field(None, description="Of each turn of the session.")
    session_budget_limits: BudgetLimits | None = Field(None, description="Of all turns of the session together.")
    labels: Labels | None = None
    session_events: bool = Field(True, description="Send `session/event` for this turn on this connection.")
    idempotency_key: IdempotencyKey | None = None

    @model_validator(mode="after")
    def _one_level(self) -> "SessionCreate":
        if self.tools is not None and (self.enable_builtins is not None or self.enable_shell is not None):
            raise ValueError("tools cannot be used together with enable_builtins or enable_shell")
        if self.enable_shell and self.enable_builtins is False:
            raise ValueError("enable_shell needs the built-in tools, which enable_builtins turns off")
        return self

    @property
    def level(self) -> ToolLevel | None:
        """The level that was chosen, however it was spelled."""
        if self.enable_shell:
            return "full"
        if self.enable_builtins is not None:
            return "safe" if self.enable_builtins else "none"
        return self.tools


class SessionList(Params):
    """`session/list`: newest change first."""

    labels: Labels | None = Field(None, description="All of them must match.")
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0
    include_archived: bool = False


class SessionRead(Params):
    """`session/read`: what a session is and how its last turn ended."""

    session_id: SessionRef


class SessionHistoryParams(Params):
    """`session/history`: committed messages, oldest first."""

    session_id: SessionRef
    offset: Offset = 0
    limit: Limit = Field(DEFAULT_LIMIT, description="A page may be shorter when its messages are large: see has_more.")


class SessionArchive(Params):
    """`session/archive` and `session/unarchive`."""

    session_id: SessionRef
    idempotency_key: IdempotencyKey | None = None


class SessionForkAt(Params):
    """`session/fork_at`: a new session that begins with the first messages of another one."""

    session_id: SessionRef
    message_index: Offset = Field(description="So many messages are taken; at most as many as there are.")
    running_behavior: Literal["reject"] = Field("reject", description="SESSION_BUSY while a turn runs.")
    idempotency_key: IdempotencyKey | None = None


class SessionInjectContext(Params):
    """`session/inject_context`: add to the transcript without asking for an answer. Give `content` or `text`."""

    session_id: SessionRef
    content: PromptText | None = None
    text: Text | None = None
    source: ShortText | None = Field(None, description="Who says it; kept with the message.")
    idempotency_key: IdempotencyKey | None = None

    @model_validator(mode="after")
    def _one_text_that_says_something(self) -> "SessionInjectContext":
        if (self.content is None) == (self.text is None):
            raise ValueError("give either content or text")
        if not self.said.strip():
            raise ValueError("the text must not be empty")
        return self

    @property
    def said(self) -> str:
        return self.content.text if self.content is not None else self.text or ""


class SessionExternalEvent(Params):
    """`session/external_event`: tell the session of something that happened outside, without asking for an answer."""

    session_id: SessionRef
    kind: Literal["generic_json"] = "generic_json"
    event_type: ShortText = Field("event", description="What happened, such as `build.finished`.")
    payload: Any = Field(description="Any JSON; the model reads it.")
    blocks: list[PromptText] | None = Field(None, description="Text for the model, after the payload.")
    source: ShortText | None = Field(None, description="Who tells it; the surface of the caller when absent.")
    idempotency_key: IdempotencyKey | None = None


class SessionCompact(Params):
    """`session/compact`: summarise the older part of what the model sees; the transcript stays as it is."""

    session_id: SessionRef
    recent_turns: Annotated[int, Field(ge=0, le=MAX_RECENT_TURNS)] | None = Field(
        None, description="So many turns stay as they are; the config's `compaction.recent_turn_budget` when absent."
    )
    session_events: bool = Field(True, description="Send `session/event` for this on this connection.")
    idempotency_key: IdempotencyKey | None = None


class SessionLabel(Params):
    """`session/label`: set (text) or remove (null) labels, leave the others."""

    session_id: SessionRef
    labels: Annotated[dict[str, Text | None], Field(min_length=1)]


class SessionSummary(TypedDict):
    """One row of the list. Times are Unix seconds."""

    session_id: str
    session_ref: str
    created_at: int
    updated_at: int
    message_count: int
    total_tokens: int
    is_active: bool
    archived: bool
    title: str
    model: str
    provider: str
    realm_id: str
    instance_id: NotRequired[str]
    backend: str
    config_generation: int
    labels: NotRequired[dict[str, str]]


class CompactionInfo(TypedDict):
    """The summary that stands for the messages before number `through`. `at` is RFC 3339."""

    through: int
    summary: str
    summary_tokens: int
    at: str
    model: str


class ProjectFile(TypedDict):
    """The project's own instructions, as they were when the session was created."""

    path: str
    sha256: str
    bytes: int


class SessionInfo(SessionSummary):
    """What `session/read` gives: the list's row and more."""

    usage: Usage
    workspace: NotRequired[str]
    tools: NotRequired[ToolLevel]
    tasks: NotRequired[list[Task]]
    cost: NotRequired[Cost]
    budget_limits: NotRequired[Budget]
    session_budget_limits: NotRequired[Budget]
    system_prompt: NotRequired[str]
    project_instructions: NotRequired[ProjectFile]
    additional_instructions: NotRequired[list[str]]
    output_schema: NotRequired[dict[str, Any]]
    compaction: NotRequired[CompactionInfo]
    last_assistant_text: NotRequired[str]
    staged_prompt: NotRequired[str]
    cursor: int
    active_turn: NotRequired[ActiveTurn]
    last_turn: NotRequired[TurnInfo]


class SessionPage(TypedDict):
    """Result of `session/list`."""

    sessions: list[SessionSummary]


class SessionHistory(TypedDict):
    """A page of committed messages. `limit` is what was asked for, `has_more` whether messages follow this page."""

    session_id: str
    session_ref: str
    message_count: int
    offset: int
    limit: int
    has_more: bool
    messages: list[Message]


class SessionDeferred(TypedDict):
    """Result of a deferred `session/create`."""

    session_id: str
    session_ref: str


class SessionArchived(TypedDict):
    """Result of `session/archive` and `session/unarchive`."""

    session_id: str
    session_ref: str
    archived: bool


class CacheInheritance(TypedDict):
    """Whether a provider's prompt cache of the source serves the fork; never known here, and no promise either way."""

    status: Literal["unavailable"]
    message_count: int
    reason: Literal["no_authored_breakpoint_at_boundary"]


class SessionForked(TypedDict):
    """Result of `session/fork_at`."""

    source_session_id: str
    session_id: str
    session_ref: str
    message_count: int
    cache_inheritance: CacheInheritance


class ContextInjected(TypedDict):
    """Result of `session/inject_context`. `staged`: durable, and in the history with the running turn's commit."""

    session_id: str
    status: Literal["applied", "staged", "duplicate"]


class ExternalEventOutcome(TypedDict):
    """Result of `session/external_event`. `input_id` names the event, `existing_id` the one that had come before.
    `status` as in `session/inject_context`; what cannot be taken is an error, and no outcome."""

    outcome_type: Literal["accepted", "deduplicated"]
    session_id: str
    input_id: NotRequired[str]
    existing_id: NotRequired[str]
    status: Literal["applied", "staged", "duplicate"]


class SessionCompacted(TypedDict):
    """Result of `session/compact`. Messages are those that the model sees; `compacted` is False when it sees no more
    than what stays."""

    session_id: str
    session_ref: str
    turn_id: str
    compacted: bool
    through: NotRequired[int]
    messages_before: int
    messages_after: int
    summary_tokens: NotRequired[int]
    model: str
    usage: Usage
    cursor: int


class SessionLabels(TypedDict):
    """Result of `session/label`."""

    session_id: str
    labels: dict[str, str]
