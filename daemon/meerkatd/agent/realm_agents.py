"""One realm's agents: its config, the shared providers and its tools put together."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import MeerkatError
from .agents import AgentDefaults
from .credentials import Credentials
from .loop import ToolBox
from .models import Endpoint, ModelSettings, resolve
from .port import Provider
from .provider_pool import ProviderPool
from .providers import RetryPolicy, Timeouts
from .tools.callback import CALLBACK_TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What the config of a realm says, as far as agents care.

    Attributes:
        callback_timeout: seconds that a client may take to carry out a tool.
        problem: makes the error of whoever wants to begin a turn, while the config cannot be used.
    """

    models: ModelSettings = field(default_factory=ModelSettings)
    defaults: AgentDefaults = field(default_factory=AgentDefaults)
    credentials: Credentials = field(default_factory=Credentials)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeouts: Timeouts = field(default_factory=Timeouts)
    callback_timeout: float = CALLBACK_TIMEOUT_SECONDS
    problem: Callable[[], MeerkatError] | None = None


class RealmAgents:
    """`agents.Agents` for one realm.

    Args:
        settings: asked at each use, so that a config that changed counts from the next turn on.
        daemon_credentials: of the daemon's own environment; the last resort.
    """

    def __init__(
        self,
        pool: ProviderPool,
        tools: ToolBox,
        *,
        settings: Callable[[], AgentSettings],
        daemon_credentials: Credentials,
    ) -> None:
        self._pool = pool
        self._tools = tools
        self._settings = settings
        self._daemon_credentials = daemon_credentials

    @property
    def tools(self) -> ToolBox:
        return self._tools

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
