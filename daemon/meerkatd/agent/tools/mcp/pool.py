"""All MCP servers of the daemon: one process for each realm, server and folder, shared by all sessions that mean it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from .server import McpServer
from .spec import ServerSpec


class McpPool:
    """Owns every server; they live within `running`."""

    def __init__(self) -> None:
        self._nursery: trio.Nursery | None = None
        self._servers: dict[str, McpServer] = {}

    def __repr__(self) -> str:
        return f"<McpPool {list(self._servers.values())}>"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Servers can run within the block, and all of their processes are gone when it is left."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                yield
            finally:
                nursery.cancel_scope.cancel()

    def get(self, spec: ServerSpec, *, realm_id: str, workspace: str | None) -> McpServer:
        """The server of a spec; it starts when it is leased. Take the lease before the next await."""
        folder = _folder(spec, workspace)
        key = spec.key(realm_id=realm_id, folder=folder)
        server = self._servers.get(key)
        if server is None:
            assert self._nursery is not None, "turns run while the pool does"

            def forget(ended: McpServer) -> None:
                del self._servers[key]

            server = self._servers[key] = McpServer(spec, folder=folder, forget=forget)
            self._nursery.start_soon(server.run, name=f"MCP server {spec.name}")
        return server

    def find(self, spec: ServerSpec, *, realm_id: str, workspace: str | None) -> McpServer | None:
        """The server of a spec, if it is known."""
        return self._servers.get(spec.key(realm_id=realm_id, folder=_folder(spec, workspace)))


def _folder(spec: ServerSpec, workspace: str | None) -> str:
    return os.path.expanduser(spec.cwd or workspace or "~")
