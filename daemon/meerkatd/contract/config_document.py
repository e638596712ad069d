"""The config document: what `config.toml` and `config/set` may say, and nothing else.

Every key here has an effect; a key that has none does not exist. Realm and user config share this schema. A document
keeps the spelling of its author ("30s", 30): these models are the checked reading of it, not what is stored.

Nothing may be null, for TOML has no null: a key that is not wanted is left out.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from .base import JsonObject, ShortText, Text
from .budget import BudgetDollars, BudgetDuration, BudgetTokens, BudgetToolCalls, DollarsPerMillion
from .config_values import BaseUrl, CallLimit, FilePath, Limit, Pause, Secret
from .mcp import McpServerConfig
from .mcp import ServerName as McpServerName
from .session import MAX_RECENT_TURNS
from .tool import ToolLevel, ToolName, ToolVerdict
from .turn import OutputRetries

# No provider's answer is longer.
MAX_TOKENS = 10_000_000
# A turn that calls the model more often than this does not end at all.
MAX_MODEL_CALLS = 10_000
MAX_RETRIES = 20
# A smaller context has no older part that is worth a call.
MIN_THRESHOLD = 1000
# A summary is kept in the session's document, which is read with every list.
MAX_SUMMARY_TOKENS = 32_000
MAX_CONCURRENT_TOOLS = 100
MAX_SERVERS = 100
# Names of tools with a rule of their own.
MAX_TOOL_RULES = 200
MAX_PRICES = 1000

# What a model's name may begin with already has a meaning there.
RESERVED_SERVERS = frozenset(("anthropic", "openai", "gemini", "local", "self_hosted"))


def _tokens_or_disabled(value: Any) -> Any:
    return math.inf if value == "disabled" else value


def _threshold(value: float) -> float:
    if value != math.inf and (value != int(value) or not MIN_THRESHOLD <= value <= MAX_TOKENS):
        raise ValueError(f'must be a number of tokens from {MIN_THRESHOLD} to {MAX_TOKENS}, or "disabled"')
    return value


CompactThreshold = Annotated[
    float,
    BeforeValidator(_tokens_or_disabled),
    AfterValidator(_threshold),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "minimum": MIN_THRESHOLD, "maximum": MAX_TOKENS}, {"const": "disabled"}],
            "description": 'Tokens from which on a context is compacted; "disabled" leaves it to `session/compact`.',
        }
    ),
]


def _server_name(name: str) -> str:
    if name in RESERVED_SERVERS:
        raise ValueError(f"{name!r} has a meaning of its own; name the server differently")
    return name


ServerName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"), AfterValidator(_server_name)
]
ToolPattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_*?-]{1,64}$")]
ModelName = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x20\x7f]{1,200}$")]


class Section(BaseModel):
    """A table of the document: unknown keys are an error, and nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AgentSection(Section):
    """What sessions are built with, unless their request says otherwise."""

    model: ShortText | None = Field(default=None, description="The model of a request that names none.")
    system_prompt: Text | None = Field(default=None, description="System prompt of new sessions.")
    system_prompt_file: FilePath | None = Field(default=None, description="The same from a file; not both.")
    max_tokens_per_turn: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = Field(
        default=None, description="Limit of each answer of the model, for new sessions."
    )
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(default=None, description="For new sessions.")
    max_model_calls: Annotated[int, Field(ge=1, le=MAX_MODEL_CALLS)] | None = Field(
        default=None, description="How often one turn may call the model."
    )
    tool_instructions: Text | None = Field(
        default=None, description="Said with the system prompt of turns that have tools: how to use them."
    )
    project_instructions: bool | None = Field(
        default=None, description="New sessions take AGENTS.md of their workspace into their system prompt."
    )
    structured_output_retries: OutputRetries | None = Field(
        default=None, description="How often an answer that does not fit its output schema is asked for again."
    )
    provider_params: JsonObject = Field(
        default_factory=dict, description="Merged into the body of every call of a model, as they are."
    )

    @model_validator(mode="after")
    def _one_prompt(self) -> "AgentSection":
        if self.system_prompt is not None and self.system_prompt_file is not None:
            raise ValueError("system_prompt and system_prompt_file cannot be used together")
        return self


class BaseUrls(Section):
    anthropic: BaseUrl | None = None
    openai: BaseUrl | None = None
    gemini: BaseUrl | None = None


class ApiKeys(Section):
    anthropic: Secret | None = Field(default=None, repr=False)
    openai: Secret | None = Field(default=None, repr=False)
    gemini: Secret | None = Field(default=None, repr=False)


class ProvidersSection(Section):
    """Ways to the hosted providers. What a caller's environment says wins over it."""

    base_urls: BaseUrls = Field(default_factory=BaseUrls)
    api_keys: ApiKeys = Field(default_factory=ApiKeys)


class ServerSection(Section):
    """A server that speaks OpenAI's chat completions; its models are named `NAME/model`."""

    base_url: BaseUrl
    api_key: Secret | None = Field(default=None, repr=False)
    default_model: ShortText | None = None
    context_window: Annotated[int, Field(ge=512, le=MAX_TOKENS)] | None = Field(
        default=None, description="Tokens that its models take; a context is compacted at 80 % of it."
    )


class RetrySection(Section):
    """When a call of a model that failed is tried again."""

    max_retries: Annotated[int, Field(ge=0, le=MAX_RETRIES)] | None = None
    initial_delay: Pause | None = None
    max_delay: Pause | None = None
    multiplier: Annotated[float, Field(ge=1, le=100)] | None = None


class TimeoutsSection(Section):
    """Limits of one attempt to call a model."""

    call: CallLimit | None = None
    idle: Limit | None = Field(default=None, description="No byte arrives for this long.")
    connect: Limit | None = Field(default=None, description="Name look-up, TCP and TLS together.")


class CompactionSection(Section):
    """When what the model sees is summarised, because it nears the model's window."""

    auto_compact_threshold: CompactThreshold | None = None
    recent_turn_budget: Annotated[int, Field(ge=1, le=MAX_RECENT_TURNS)] | None = Field(
        default=None, description="So many turns stay as they are."
    )
    max_summary_tokens: Annotated[int, Field(ge=64, le=MAX_SUMMARY_TOKENS)] | None = None
    min_turns_between_compactions: Annotated[int, Field(ge=1, le=MAX_MODEL_CALLS)] | None = Field(
        default=None, description="Calls of the model from one compaction to the next."
    )


class ToolsSection(Section):
    """How tools are carried out."""

    level: ToolLevel | None = Field(
        default=None,
        description="How much the built-in tools may do, unless a request says; `safe` where there is a workspace.",
    )
    callback_timeout: Limit | None = Field(default=None, description="How long a client may take to carry out a tool.")
    default_timeout: Limit | None = Field(default=None, description="How long a call of any other tool may take.")
    policy: Annotated[dict[ToolPattern, ToolVerdict], Field(max_length=MAX_TOOL_RULES)] = Field(
        default_factory=dict, description="Tools by their names, or patterns of them such as mcp__time__*."
    )
    tool_timeouts: Annotated[dict[ToolName, Limit], Field(max_length=MAX_TOOL_RULES)] = Field(
        default_factory=dict, description="The same for the tools of these names."
    )
    max_concurrent: Annotated[int, Field(ge=1, le=MAX_CONCURRENT_TOOLS)] | None = Field(
        default=None, description="Tool calls of one answer that run together."
    )


class ShellSection(Section):
    """The built-in tool `shell`, which needs the level `full`."""

    program: FilePath | None = Field(default=None, description="Takes -c COMMAND; default bash, else sh.")
    timeout: Limit | None = Field(default=None, description="For a command that says nothing about it.")


class BudgetSection(Section):
    """What each turn may use, unless its request or its session says otherwise."""

    max_tokens: BudgetTokens | None = Field(default=None, description="Tokens of input and output together.")
    max_duration: BudgetDuration | None = Field(default=None, description="Without waiting for approvals.")
    max_tool_calls: BudgetToolCalls | None = None
    max_cost: BudgetDollars | None = Field(default=None, description="US dollars.")


class LimitsSection(Section):
    """What all turns of the realm may use together, in each period."""

    budget: BudgetTokens | None = Field(default=None, description="Tokens of input and output together.")
    max_duration: BudgetDuration | None = Field(default=None, description="The durations of all turns, added up.")
    max_tool_calls: BudgetToolCalls | None = None
    max_cost: BudgetDollars | None = Field(default=None, description="US dollars.")
    period: Literal["day", "month", "ever"] | None = Field(
        default=None, description="A day or a month of UTC, or all time; `month` when absent."
    )

    @property
    def max_tokens(self) -> int | None:
        return self.budget


class PriceSection(Section):
    """What a model costs, in US dollars for a million tokens."""

    input: DollarsPerMillion
    output: DollarsPerMillion
    cache_read: DollarsPerMillion | None = Field(default=None, description="Input that a cache had; as input.")
    cache_write: DollarsPerMillion | None = Field(default=None, description="Input that went to a cache; as input.")


class McpSection(Section):
    """Servers whose tools every session of the realm has."""

    servers: Annotated[dict[McpServerName, McpServerConfig], Field(max_length=MAX_SERVERS)] = Field(
        default_factory=dict
    )


class ConfigDocument(Section):
    """The whole document; every key is optional."""

    agent: AgentSection = Field(default_factory=AgentSection)
    providers: ProvidersSection = Field(default_factory=ProvidersSection)
    servers: Annotated[dict[ServerName, ServerSection], Field(max_length=MAX_SERVERS)] = Field(default_factory=dict)
    retry: RetrySection = Field(default_factory=RetrySection)
    timeouts: TimeoutsSection = Field(default_factory=TimeoutsSection)
    tools: ToolsSection = Field(default_factory=ToolsSection)
    shell: ShellSection = Field(default_factory=ShellSection)
    mcp: McpSection = Field(default_factory=McpSection)
    budget: BudgetSection = Field(default_factory=BudgetSection)
    limits: LimitsSection = Field(default_factory=LimitsSection)
    prices: Annotated[dict[ModelName, PriceSection], Field(max_length=MAX_PRICES)] = Field(default_factory=dict)
    compaction: CompactionSection = Field(default_factory=CompactionSection)


def json_schema() -> dict[str, Any]:
    """JSON Schema of the document, without the nulls that stand for absent keys in the models."""
    schema = _without_null(ConfigDocument.model_json_schema())
    assert isinstance(schema, dict)
    return schema


def _without_null(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_null(each) for each in node]
    if not isinstance(node, dict):
        return node
    clean = {key: _without_null(value) for key, value in node.items() if not (key == "default" and value is None)}
    branches = [each for each in clean.get("anyOf", []) if each != {"type": "null"}]
    if len(branches) == 1:
        del clean["anyOf"]
        return {**branches[0], **clean}
    if branches:
        clean["anyOf"] = branches
    return clean
