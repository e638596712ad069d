"""A realm's way to models and tools: what `sessions` needs to build the agent of a turn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..contract.event import EventPayload
from ..contract.tool import ToolLevel
from .context import CompactionSettings
from .credentials import Credentials
from .limits import Limits, RealmLimits
from .loop import MAX_CONCURRENT_TOOLS, MAX_MODEL_CALLS, ToolBox
from .models import Endpoint
from .port import Provider
from .prices import Price
from .structured import DEFAULT_RETRIES
from .tools.builtin.tasks import TaskList
from .tools.mcp.realm import RealmServers
from .tools.mcp.spec import ServerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDefaults:
    """What the realm's config says about agents, for sessions that do not say otherwise.

    `generation` is that of the config these values are from. `tools` is None for what `levels.level_of` makes of it.
    """

    generation: int = 0
    system_prompt: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    provider_params: dict[str, Any] = field(default_factory=dict)
    structured_output_retries: int = DEFAULT_RETRIES
    tool_instructions: str | None = None
    project_instructions: bool = False
    compaction: CompactionSettings = field(default_factory=CompactionSettings)
    max_model_calls: int = MAX_MODEL_CALLS
    max_concurrent_tools: int = MAX_CONCURRENT_TOOLS
    tools: ToolLevel | None = None
    turn_limits: Limits = field(default_factory=Limits)
    realm_limits: RealmLimits = field(default_factory=RealmLimits)
    prices: Mapping[str, Price] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolScope:
    """The turn for which tools are put together.

    Attributes:
        level: of the built-in ones; None where nobody has chosen any.
        most: above this level the turn has none, whatever was chosen.
        workspace: the folder for files, absolute and without links; None for none.
        tasks: the session's task list.
        servers: MCP servers of the session's own, by name; None for one of the config that it does not want. Asked
            before each call of the model.
        emit: publishes an event.
    """

    level: ToolLevel | None
    most: ToolLevel
    workspace: str | None
    tasks: TaskList
    servers: Callable[[], Mapping[str, ServerSpec | None]]
    emit: Callable[[EventPayload], Any]


class Agents(Protocol):
    """Resolves models and opens providers for the turns of one realm."""

    def toolbox(self, scope: ToolScope, endpoint: Endpoint) -> ToolBox:
        """The tools of one turn, which the model of `endpoint` is going to use."""
        ...

    @property
    def servers(self) -> RealmServers: ...

    def defaults(self) -> AgentDefaults: ...

    def choose(self, *, model: str | None, provider: str | None, credentials: Credentials) -> Endpoint:
        """The endpoint for a model by name, or for the default model.

        Raises:
            InvalidParams: no such model.
            ProviderNotConfigured: it has no key, or there is no default.
            ConfigInvalid: the config cannot be used as it is, so no turn begins.
        """
        ...

    async def provider(self, endpoint: Endpoint) -> Provider:
        """The open provider of an endpoint; may wait for a library to be imported or a local model to be loaded."""
        ...
