"""What requests give back. Frozen values; times are Unix seconds unless their name says otherwise.

Fields that another version of the daemon sends are ignored, and those that it leaves out have a default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    # Generated, and of a hundred shapes: what loads them pays for all.
    from .types import Budget, CompactionInfo, ProjectFile, TurnInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the provider counted them; input includes cached tokens."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cache_creation_tokens: int = 0
    cache_read_tokens: int = 0

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        return cls(**{name: wire[name] for name in cls.__slots__ if name in wire})


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaWarning:
    """The provider's own response format was left out, because it refused the schema; the answer fits it anyway."""

    provider: str
    path: str
    message: str

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        return cls(**_known(SchemaWarning, wire))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What calls of models cost: `usd` of those whose price is known; `unpriced_calls` are the others."""

    usd: float
    unpriced_calls: int = 0
    estimated: bool = False

    @classmethod
    def parse(cls, wire: Mapping[str, Any] | None) -> Self | None:
        return None if wire is None else cls(**_known(Cost, wire))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a completed turn gives. `turns` counts calls of the model; `cursor` is the turn's last event.

    `structured_output` is the value that the answer is, when the turn has an output schema; else None.
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
    cursor: int
    structured_output: Any = None
    schema_warnings: tuple[SchemaWarning, ...] = ()
    cost: Cost | None = None

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        return cls(
            session_id=wire["session_id"],
            session_ref=wire["session_ref"],
            turn_id=wire["turn_id"],
            text=wire["text"],
            turns=wire["turns"],
            tool_calls=wire["tool_calls"],
            usage=Usage.parse(wire["usage"]),
            model=wire["model"],
            provider=wire["provider"],
            stop_reason=wire["stop_reason"],
            cursor=wire["cursor"],
            structured_output=wire.get("structured_output"),
            schema_warnings=tuple(SchemaWarning.parse(each) for each in wire.get("schema_warnings", ())),
            cost=Cost.parse(wire.get("cost")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """A row of the list."""

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
    backend: str
    config_generation: int
    instance_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        return cls(**_known(SessionSummary, wire))


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveTurn:
    """The turn that is running: who started it, and the cursor from which to see all of it."""

    turn_id: str
    started_at_ms: int
    surface: str
    client: str
    cursor: int
    pid: int | None = None

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        return cls(**_known(ActiveTurn, wire))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDetails(SessionSummary):
    """What reading one session tells beyond the list's row. `staged_prompt` is that of a deferred session."""

    usage: Usage
    cursor: int
    cost: Cost | None = None
    budget_limits: "Budget | None" = None
    session_budget_limits: "Budget | None" = None
    system_prompt: str | None = None
    project_instructions: "ProjectFile | None" = None
    additional_instructions: Sequence[str] = ()
    output_schema: Mapping[str, Any] | None = None
    compaction: "CompactionInfo | None" = None
    last_assistant_text: str | None = None
    staged_prompt: str | None = None
    active_turn: ActiveTurn | None = None
    last_turn: "TurnInfo | None" = None

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        own = (
            "cursor",
            "system_prompt",
            "project_instructions",
            "additional_instructions",
            "output_schema",
            "compaction",
            "last_assistant_text",
            "staged_prompt",
            "last_turn",
            "budget_limits",
            "session_budget_limits",
        )
        active = wire.get("active_turn")
        return cls(
            **_known(SessionSummary, wire),
            **{name: wire[name] for name in own if name in wire},
            usage=Usage.parse(wire["usage"]),
            cost=Cost.parse(wire.get("cost")),
            active_turn=ActiveTurn.parse(active) if active is not None else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptResult:
    """`interrupted` is False when the turn had finished before the interrupt reached it."""

    session_id: str
    turn_id: str
    interrupted: bool
    outcome: str

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        return cls(**_known(InterruptResult, wire))


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """Something that this daemon can do."""

    id: str
    description: str
    status: str

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        return cls(id=wire["id"], description=wire["description"], status=str(wire["status"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogModel:
    """A model that is known by name."""

    id: str
    display_name: str
    tier: str
    context_window: int | None = None
    max_output_tokens: int | None = None
    server_id: str | None = None

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        return cls(**_known(CatalogModel, wire))


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogProvider:
    """A provider. `configured` says whether a turn could use it right now, and `note` what is missing if not."""

    provider: str
    default_model_id: str
    configured: bool
    models: tuple[CatalogModel, ...]
    note: str | None = None

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        return cls(
            provider=wire["provider"],
            default_model_id=wire["default_model_id"],
            configured=wire["configured"],
            models=tuple(CatalogModel.parse(model) for model in wire["models"]),
            note=wire.get("note"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsCatalog:
    """All providers. `default` has the model that a session without a model gets; None when there is none."""

    providers: tuple[CatalogProvider, ...]
    default: Mapping[str, Any] | None = None

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        return cls(
            providers=tuple(CatalogProvider.parse(each) for each in wire["providers"]), default=wire.get("default")
        )


def _known(shape: type[Any], wire: Mapping[str, Any]) -> dict[str, Any]:
    """What `shape` itself, without its bases, knows of `wire`."""
    return {name: wire[name] for name in shape.__slots__ if name in wire}
