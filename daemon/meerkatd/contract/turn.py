"""Turns: start, interrupt, read; what a turn gives back and what it did."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from typing_extensions import TypedDict

from .base import IdempotencyKey, JsonObject, Params, SessionRef, ShortText, Text
from .budget import BudgetLimits
from .tool import ToolLevel


class PromptText(Params):
    """One text block of a prompt."""

    type: Literal["text"]
    text: Text


MediaType = Literal["image/png", "image/jpeg", "image/gif", "image/webp"]


class PromptImage(Params):
    """One image of a prompt: its bytes as base64 in `data` (source `inline`), or the `blob_id` of one that is there."""

    type: Literal["image"]
    media_type: MediaType
    source: Literal["inline", "blob"]
    data: str | None = None
    blob_id: str | None = Field(None, pattern=r"^sha256:[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _says_where_it_is(self) -> "PromptImage":
        if self.source == "inline" and (self.data is None or self.blob_id is not None):
            raise ValueError("an inline image has data, and no blob_id")
        if self.source == "blob" and (self.blob_id is None or self.data is not None):
            raise ValueError("an image from a blob has a blob_id, and no data")
        return self


PromptBlock = Annotated[PromptText | PromptImage, Field(discriminator="type")]


def _not_blank(prompt: "str | list[PromptBlock]") -> "str | list[PromptBlock]":
    texts = [prompt] if isinstance(prompt, str) else [block.text for block in prompt if block.type == "text"]
    if not "".join(texts).strip() and (isinstance(prompt, str) or len(texts) == len(prompt)):
        raise ValueError("must not be empty")
    return prompt


Prompt = Annotated[
    Text | list[PromptBlock],
    AfterValidator(_not_blank),
    Field(description="Text, or a list of text and image blocks."),
]
# Instructions are said with each call; longer ones are a system prompt, or a file that the agent reads.
MAX_INSTRUCTIONS = 32
MAX_INSTRUCTION_CHARS = 16_384
Instructions = Annotated[
    list[Annotated[Text, StringConstraints(min_length=1, max_length=MAX_INSTRUCTION_CHARS)]],
    Field(max_length=MAX_INSTRUCTIONS),
]
OutputSchema = Annotated[
    JsonObject,
    Field(
        min_length=1,
        description="JSON Schema of the answer, or an object with `schema`, `name`, `strict` and `compat`.",
    ),
]
# Each is a whole call of the model, with all that was said before.
MAX_OUTPUT_RETRIES = 10
OutputRetries = Annotated[
    int, Field(ge=0, le=MAX_OUTPUT_RETRIES, description="How often an answer that does not fit is asked for again; 2.")
]


class TurnStart(Params):
    """`turn/start`: run one turn. SESSION_BUSY at once when another one runs."""

    session_id: SessionRef
    prompt: Prompt
    model: ShortText | None = Field(None, description="Use another model from this turn on.")
    provider: ShortText | None = None
    max_tokens: Annotated[int, Field(gt=0)] | None = Field(None, description="Limit for each answer of this turn.")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    provider_params: JsonObject | None = None
    additional_instructions: Instructions | None = Field(
        None, description="Said with the system prompt of this turn, behind those of the session."
    )
    output_schema: OutputSchema | None = Field(None, description="As for `session/create`, for this turn.")
    structured_output_retries: OutputRetries | None = None
    tools: ToolLevel | None = Field(
        None, description="How much the built-in tools may do in this turn; the session's level when absent."
    )
    budget_limits: BudgetLimits | None = Field(None, description="Of this turn; each limit wins over the session's.")
    session_budget_limits: BudgetLimits | None = Field(
        None, description="Of all turns of the session together, from now on; takes the place of those it had."
    )
    session_events: bool = Field(True, description="Send `session/event` for this turn on this connection.")
    idempotency_key: IdempotencyKey | None = None


class TurnInterrupt(Params):
    """`turn/interrupt`: cancel the running turn. The reply comes after what was produced is committed."""

    session_id: SessionRef
    turn_id: ShortText | None = Field(None, description="Only this turn; SESSION_NOT_RUNNING when another one runs.")


class TurnRead(Params):
    """`turn/read`: how a turn ended and what each of its tool calls did."""

    session_id: SessionRef
    turn_id: ShortText | None = Field(None, description="The last turn when absent.")


class Usage(TypedDict):
    """Tokens as the provider counted them; input includes cached tokens."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    cache_creation_tokens: NotRequired[int]
    cache_read_tokens: NotRequired[int]


class SchemaWarning(TypedDict):
    """The provider's own response format was left out, because it refused the schema; the answer was checked anyway."""

    provider: str
    path: str
    message: str


class Cost(TypedDict):
    """What calls of models cost. `usd` has only the calls whose price is known; the others are `unpriced_calls`.

    `estimated` when a part of it is of a call that broke off before the provider told what it had used.
    """

    usd: float
    unpriced_calls: int
    estimated: bool


class RunResult(TypedDict):
    """What a completed turn gives. `turns` counts calls of the model, as in the public contract.

    `structured_output` is there whenever the turn has an output schema: the answer's value, which fits it.
    """

    session_id: str
    session_ref: str
    turn_id: str
    text: str
    turns: int
    tool_calls: int
    usage: Usage
    model: str
    provider: str
    stop_reason: str
    structured_output: NotRequired[Any]
    schema_warnings: NotRequired[list[SchemaWarning]]
    cursor: int
    cost: NotRequired[Cost]


class TurnInterrupted(TypedDict):
    """Result of `turn/interrupt`. `outcome` is `completed` when the turn finished before the interrupt reached it."""

    session_id: str
    turn_id: str
    interrupted: bool
    result: Literal["interrupted"]
    outcome: Literal["completed", "interrupted", "failed"]


class ToolCallRecord(TypedDict):
    """One line of a turn's ledger."""

    call_id: str
    name: str
    arguments: dict[str, Any]
    fate: Literal["ran", "may_have_run", "never_ran"]
    is_error: NotRequired[bool]


class Holder(TypedDict):
    """Who started a turn."""

    surface: str
    client: str
    pid: NotRequired[int]
    instance_id: NotRequired[str]


class ActiveTurn(TypedDict):
    """The turn that runs. `cursor` is the place before its first event."""

    turn_id: str
    started_at_ms: int
    surface: str
    client: str
    pid: NotRequired[int]
    cursor: int


class TurnFailure(TypedDict):
    """Why a turn gave no result, as its caller was told."""

    code: str
    message: str
    details: dict[str, Any]


class TurnInfo(TypedDict):
    """A turn as it stands. Times are Unix milliseconds."""

    turn_id: str
    session_id: str
    ordinal: int
    state: Literal["running", "completed", "interrupted", "failed", "lost"]
    started_at_ms: int
    ended_at_ms: NotRequired[int]
    holder: Holder
    usage: Usage
    error: NotRequired[TurnFailure]
    tool_calls: list[ToolCallRecord]
    kind: NotRequired[Literal["compaction"]]
