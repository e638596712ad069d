"""The MCP servers of one turn as a source of its tools.

Which servers these are can change while the turn runs: they are looked up anew before each call of the model. What
came, what went and what cannot be used is told by an event, once.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import trio

from ....contract.event import EventPayload
from ...loop import ToolOutcome
from ...port import ToolSpec
from .pool import McpPool
from .server import McpServer
from .spec import ServerSpec, tool_name


class Emit(Protocol):
    def __call__(self, payload: EventPayload, /) -> Any: ...


@dataclass(slots=True)
class _Held:
    """A server that the turn has leased."""

    server: McpServer
    release: ExitStack
    new: bool
    told: str | None = None


class McpTools:
    """A `toolbox.ToolSource` for one turn.

    Args:
        wanted: the servers of the turn's session, by name; asked before each call of the model.
        timeout: seconds for a call of the tool of that name.
    """

    def __init__(
        self,
        pool: McpPool,
        *,
        realm_id: str,
        workspace: str | None,
        wanted: Callable[[], Mapping[str, ServerSpec]],
        timeout: Callable[[str], float],
        emit: Emit,
    ) -> None:
        self._pool = pool
        self._realm_id = realm_id
        self._workspace = workspace
        self._wanted = wanted
        self.timeout = timeout
        self._emit = emit
        self._held: dict[str, _Held] = {}
        self._begun = False

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Hold the servers while the block runs."""
        try:
            yield
        finally:
            for held in self._held.values():
                held.release.close()
            self._held.clear()

    async def refresh(self) -> None:
        """Hold the servers that are wanted now, and wait for those that are starting, bounded by each one's time."""
        wanted = self._wanted()
        for name in [name for name, held in self._held.items() if self._other(wanted.get(name), held)]:
            self._held.pop(name).release.close()
            if name not in wanted:
                self._tell("remove", name, "applied")
        for name, spec in wanted.items():
            if name not in self._held:
                self._held[name] = self._lease(spec)
        async with trio.open_nursery() as nursery:
            for held in self._held.values():
                nursery.start_soon(held.server.settled)
        for name, held in self._held.items():
            self._tell_state(name, held)
        self._begun = True

    def specs(self) -> Sequence[ToolSpec]:
        return [
            ToolSpec(name=name, description=tool.description, input_schema=tool.input_schema)
            for name, (_, tool) in self._offers().items()
        ]

    async def call(self, name: str, arguments: dict[str, Any], *, call_id: str) -> ToolOutcome:
        server, tool = self._offers()[name]
        return await server.call(tool.name, arguments)

    def _offers(self) -> dict[str, tuple[McpServer, Any]]:
        offers: dict[str, tuple[McpServer, Any]] = {}
        for held in self._held.values():
            for tool in held.server.tools:
                offers.setdefault(tool_name(held.server.spec.name, tool.name), (held.server, tool))
        return offers

    def _lease(self, spec: ServerSpec) -> _Held:
        server = self._pool.get(spec, realm_id=self._realm_id, workspace=self._workspace)
        release = ExitStack()
        release.enter_context(server.lease())
        # What is there from the beginning of a turn is no news.
        return _Held(server, release, new=self._begun)

    def _other(self, spec: ServerSpec | None, held: _Held) -> bool:
        """Whether a server that is held is not the one that is wanted."""
        return spec is None or spec != held.server.spec

    def _tell_state(self, name: str, held: _Held) -> None:
        """Tell what a server has come to, when that is news. That all is as it was is none."""
        problem = held.server.problem
        if problem == held.told and not held.new:
            return
        operation = "reload" if held.told is not None else "add"
        held.told, held.new = problem, False
        self._tell(operation, name, f"failed: {problem}" if problem else "applied")

    def _tell(self, operation: Any, name: str, status: str) -> None:
        self._emit(
            {
                "type": "tool_config_changed",
                "payload": {"operation": operation, "target": name, "status": status, "persisted": False},
            }
        )
