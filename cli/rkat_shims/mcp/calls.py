"""Carries out a tool: its arguments to a request of the daemon, the reply to a result.

What the arguments must be is the daemon's to say; only those of tools that are no method of their own are judged here,
by the same rules and in the same words.
"""

import os
import time
from collections.abc import Mapping
from typing import Any, Final

from mcp.server import ServerRequestContext
from mcp.types import CallToolResult
from pydantic import ValidationError

from meerkat_client.errors import RkatError
from meerkatd.contract.base import complaint

from .answers import failure, result
from .daemon import Daemon
from .event_streams import EventStreams
from .options import Options
from .progress import Progress
from .tools import READS, TURNS, Tool

Context = ServerRequestContext[Any, Any]

# Random bytes of an idempotency key: nobody else makes up the same one.
_KEY_BYTES: Final = 16


class Calls:
    """Carries out the tools of one client."""

    def __init__(self, options: Options, daemon: Daemon, streams: EventStreams) -> None:
        self._options = options
        self._daemon = daemon
        self._streams = streams

    async def carry_out(self, tool: Tool, arguments: Mapping[str, Any], context: Context) -> CallToolResult:
        """The tool's result; a refusal or a failure is a result too.

        Cancellation: the request is taken back, and a turn of it is interrupted.
        """
        try:
            given = self._judged(tool, arguments)
            if tool.asks is None:
                return result(tool, "", await self._streams.carry_out(tool.name, given), expose_paths=True)
            method, asked = tool.asks(given)
            value = await self._asked(tool, method, self._completed(tool, method, asked), context)
        except RkatError as error:
            return failure(error)
        return result(tool, method, value, expose_paths=self._options.expose_paths)

    async def _asked(self, tool: Tool, method: str, asked: Mapping[str, Any], context: Context) -> Any:
        if method in TURNS:
            if context.meta is not None and "progress_token" in context.meta:
                return await self._with_progress(method, asked, context)
            return await self._daemon.ask(method, asked, runs_turn=True)
        repeatable = tool.effect == READS or "idempotency_key" in asked
        return await self._daemon.ask(method, asked, repeatable=repeatable)

    async def _with_progress(self, method: str, asked: Mapping[str, Any], context: Context) -> Any:
        progress, count = Progress(), 0
        async with self._daemon.turn(method, asked) as stream:
            async for event in stream:
                for line in progress.take(event, time.monotonic()):
                    count += 1
                    await context.session.report_progress(count, message=line)
            for line in progress.rest():
                await context.session.report_progress(count + 1, message=line)
        return stream.result

    def _judged(self, tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
        for name in arguments:
            if name not in tool.fields:
                takes = ", ".join(tool.fields) or "nothing"
                raise _refused(tool, name, f"is unknown to {tool.name}, which takes {takes}")
        if not tool.judged:
            return dict(arguments)
        try:
            return tool.params.model_validate(dict(arguments)).model_dump(exclude_unset=True)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            path = ".".join(str(part) for part in problem["loc"])
            raise _refused(tool, path, complaint(problem)) from error

    def _completed(self, tool: Tool, method: str, asked: dict[str, Any]) -> dict[str, Any]:
        """With what the agent need not say: a key, so that asking twice does nothing twice, and the default model."""
        writes = tool.effect != READS and not method.endswith("/get")
        if writes and "idempotency_key" in tool.params.model_fields:
            asked.setdefault("idempotency_key", f"mcp-{os.urandom(_KEY_BYTES).hex()}")
        if method == "session/create" and self._options.default_model is not None:
            asked.setdefault("model", self._options.default_model)
        return asked


def _refused(tool: Tool, field: str, what: str) -> RkatError:
    message = f"{field} {what}." if field else f"{what[0].upper()}{what[1:]}."
    return RkatError("INVALID_PARAMS", message, details={"field": field, "tool": tool.name})
