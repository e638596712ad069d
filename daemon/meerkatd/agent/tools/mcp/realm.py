"""The MCP servers of one realm, as its methods see them."""

from collections.abc import Callable, Mapping

from .pool import McpPool
from .server import McpServer
from .spec import ServerSpec


class RealmServers:
    """What is known and can be done about a realm's servers, outside of turns.

    Args:
        configured: those of the config, by name; asked at each use.
    """

    def __init__(self, pool: McpPool, *, realm_id: str, configured: Callable[[], Mapping[str, ServerSpec]]) -> None:
        self._pool = pool
        self._realm_id = realm_id
        self.configured = configured

    def running(self, spec: ServerSpec, *, workspace: str | None) -> McpServer | None:
        """The server of a spec, if it was wanted lately."""
        return self._pool.find(spec, realm_id=self._realm_id, workspace=workspace)
