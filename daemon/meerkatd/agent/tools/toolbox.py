"""The tools of one turn, put together from their sources.

A name belongs to the first source that has it: the tools of clients, then the built-in ones, then those of MCP servers.
So a client can put its own in the place of a built-in one, and no server can do so with either. What others offer under
a taken name is not offered at all.

A tool can do what it likes and never break a turn: failing, hanging and answering with a book are outcomes that the
model is told of.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import trio

from ...contract.tool import ToolVerdict
from ...errors import MeerkatError
from ...ids import uuid7
from ..approval import verdict
from ..loop import ToolOutcome
from ..port import ToolSpec
from .mcp.source import McpTools

log = logging.getLogger(__name__)

# The public contract's timeout of a tool.
DEFAULT_TIMEOUT_SECONDS = 600.0


class ToolSource(Protocol):
    """Tools of one kind."""

    def specs(self) -> Sequence[ToolSpec]: ...

    async def call(self, name: str, arguments: dict[str, Any], *, call_id: str) -> ToolOutcome:
        """Carry out a call of a tool that `specs` has offered. Failing is an outcome."""
        ...

    def timeout(self, name: str) -> float:
        """Seconds after which a call is stopped; infinite when the source keeps the time itself."""
        ...


class Toolbox:
    """`loop.ToolBox` over several sources.

    Args:
        sources: the first one that has a name has it.
        servers: those of MCP servers, the last of the sources.
        policy: which tools may run, by patterns of their names; asked before each call.
    """

    def __init__(
        self,
        sources: Sequence[ToolSource],
        *,
        servers: McpTools | None = None,
        policy: Callable[[], Mapping[str, ToolVerdict]] = dict,
    ) -> None:
        self._policy = policy
        self._sources = [*sources, servers] if servers is not None else sources
        self._servers = servers

    def verdict(self, name: str) -> ToolVerdict:
        """See `loop.ToolBox`."""
        return verdict(self._policy(), name)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """See `loop.ToolBox`."""
        if self._servers is None:
            yield
            return
        async with self._servers.opened():
            yield

    async def refresh(self) -> None:
        """See `loop.ToolBox`."""
        if self._servers is not None:
            await self._servers.refresh()

    def specs(self) -> Sequence[ToolSpec]:
        return [spec for spec, _ in self._offers().values()]

    async def call(self, name: str, arguments: dict[str, Any], *, call_id: str) -> ToolOutcome:
        """See `loop.ToolBox`."""
        offer = self._offers().get(name)
        if offer is None:
            return ToolOutcome(content=f"There is no tool named {name!r} (any more).", is_error=True)
        timeout = offer[1].timeout(name)
        with trio.move_on_after(timeout):
            return await self._guarded(offer[1], name, arguments, call_id)
        return ToolOutcome(
            content=f"The tool {name!r} was stopped after {timeout:g} seconds.",
            is_error=True,
            timed_out_ms=round(timeout * 1000),
        )

    async def _guarded(self, source: ToolSource, name: str, arguments: dict[str, Any], call_id: str) -> ToolOutcome:
        try:
            return await source.call(name, arguments, call_id=call_id)
        except MeerkatError as error:
            return ToolOutcome(content=f"The tool {name!r} failed: {error.message}", is_error=True)
        except Exception as error:
            reference = uuid7()
            log.error("the tool %s failed unexpectedly, reference %s", name, reference, exc_info=error)
            return ToolOutcome(
                content=f"The tool {name!r} failed unexpectedly; the daemon's log has it under {reference}.",
                is_error=True,
            )

    def _offers(self) -> dict[str, tuple[ToolSpec, ToolSource]]:
        offers: dict[str, tuple[ToolSpec, ToolSource]] = {}
        for source in self._sources:
            for spec in source.specs():
                offers.setdefault(spec.name, (spec, source))
        return offers
