"""One realm's agents: its config, the shared providers and its tools put together."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import MeerkatError
from .agents import AgentDefaults, ToolScope
from .credentials import Credentials
from .loop import ToolBox
from .models import Endpoint, ModelSettings, resolve
from .port import Provider
from .provider_pool import ProviderPool
from .providers import RetryPolicy, Timeouts
from .tools.builtin import BuiltinTools
from .tools.callback import CallbackTools
from .tools.levels import level_of
from .tools.mcp.pool import McpPool
from .tools.mcp.realm import RealmServers
from .tools.mcp.source import McpTools
from .tools.mcp.spec import ServerSpec
from .tools.settings import ToolSettings
from .tools.toolbox import Toolbox


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What the config of a realm says, as far as agents care.

    Attributes:
        tools: how tools are carried out.
        problem: makes the error of whoever wants to begin a turn, while the config cannot be used.
    """

    models: ModelSettings = field(default_factory=ModelSettings)
    defaults: AgentDefaults = field(default_factory=AgentDefaults)
    credentials: Credentials = field(default_factory=Credentials)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeouts: Timeouts = field(default_factory=Timeouts)
    tools: ToolSettings = field(default_factory=ToolSettings)
    problem: Callable[[], MeerkatError] | None = None


class RealmAgents:
    """`agents.Agents` for one realm.

    Args:
        servers: of all realms.
        callbacks: the tools of the realm's clients.
        settings: asked at each use, so that a config that changed counts from the next turn on.
        daemon_credentials: of the daemon's own environment; the last resort.
    """

    def __init__(
        self,
        pool: ProviderPool,
        servers: McpPool,
        callbacks: CallbackTools,
        *,
        realm_id: str,
        settings: Callable[[], AgentSettings],
        daemon_credentials: Credentials,
    ) -> None:
        self._pool = pool
        self._server_pool = servers
        self._realm_id = realm_id
        self.servers = RealmServers(servers, realm_id=realm_id, configured=lambda: settings().tools.servers)
        self._callbacks = callbacks
        self._settings = settings
        self._daemon_credentials = daemon_credentials

    def toolbox(self, scope: ToolScope, endpoint: Endpoint) -> ToolBox:
        chosen = (scope.level, self.defaults().tools)
        level = level_of(*chosen, workspace=scope.workspace, kind=endpoint.kind, most=scope.most)
        builtin = BuiltinTools(
            level,
            workspace=scope.workspace,
            tasks=scope.tasks,
            shell=lambda: self._settings().tools.shell,
            timeout=lambda name: self._settings().tools.timeout_of(name),
        )
        servers = McpTools(
            self._server_pool,
            realm_id=self._realm_id,
            workspace=scope.workspace,
            wanted=lambda: self._wanted(scope),
            timeout=lambda name: self._settings().tools.timeout_of(name),
            emit=scope.emit,
        )
        return Toolbox([self._callbacks, builtin], servers=servers, policy=lambda: self._settings().tools.policy)

    def _wanted(self, scope: ToolScope) -> dict[str, ServerSpec]:
        """The MCP servers of a turn: its session's own, and those of the config unless it chose to have nothing."""
        chosen = scope.level or self.defaults().tools
        merged = {**({} if chosen == "none" else self._settings().tools.servers), **scope.servers()}
        return {name: spec for name, spec in merged.items() if spec is not None}

    def defaults(self) -> AgentDefaults:
        return self._settings().defaults

    def choose(self, *, model: str | None, provider: str | None, credentials: Credentials) -> Endpoint:
        """See `Agents.choose`. The caller's environment wins over the config, and the daemon's own comes last."""
        settings = self._settings()
        if settings.problem is not None:
            raise settings.problem()
        merged = Credentials.merge(credentials, settings.credentials, self._daemon_credentials)
        return resolve(model, provider=provider, settings=settings.models, credentials=merged)

    async def provider(self, endpoint: Endpoint) -> Provider:
        settings = self._settings()
        return await self._pool.get(endpoint, retry=settings.retry, timeouts=settings.timeouts)
