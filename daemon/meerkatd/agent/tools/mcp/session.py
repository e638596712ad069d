"""A session with an MCP server: its tools and calls of them. The SDK is loaded here, when a realm has a server at all.

Doubt: the result of a call is not checked against the output schema that the server declares. The check would be that
of a regular expression somebody else wrote, in our process; and the model reads the text either way.
"""

import importlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio

from meerkat_client.wire.version import VERSION

from ...loop import ToolOutcome
from ..builtin.excerpt import excerpt
from .spec import ServerSpec
from .stdio import Said, stdio_transport

if TYPE_CHECKING:
    from mcp.client.session import ClientSession

# More are not useful to any model, and each is paid for with every call of it.
MAX_TOOLS = 200
MAX_DESCRIPTION_CHARS = 4000
_MAX_PAGES = 20
# Some 25,000 tokens; the middle of what is longer is left out.
MAX_RESULT_CHARS = 100_000
# A ping is answered at once, or by nobody.
PING_SECONDS = 5.0
# A server on the network that says nothing for longer than a call may take is gone.
_HTTP_CONNECT_SECONDS = 10.0
_HTTP_READ_SECONDS = 3600.0

_MODULES = ("mcp.client.session", "mcp.client.streamable_http", "mcp_types")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTool:
    """A tool as its server lists it."""

    name: str
    description: str
    input_schema: Mapping[str, Any]


class ServerGone(Exception):
    """The session has ended, or answers no more; the text says what is known."""


async def load() -> None:
    """Load the SDK, which takes a second, in a thread: the event loop goes on meanwhile."""
    for name in _MODULES:
        await trio.to_thread.run_sync(importlib.import_module, name)


class McpSession:
    """An initialized session. Any task may call it."""

    def __init__(self, session: "ClientSession") -> None:
        self._session = session

    async def tools(self) -> list[RemoteTool]:
        """All tools that the server offers now, up to a bound."""
        from mcp_types import PaginatedRequestParams

        found: list[RemoteTool] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = await self._session.list_tools(params=PaginatedRequestParams(cursor=cursor) if cursor else None)
            found += [
                RemoteTool(
                    name=tool.name,
                    description=(tool.description or "")[:MAX_DESCRIPTION_CHARS],
                    input_schema=tool.input_schema,
                )
                for tool in page.tools
            ]
            cursor = page.next_cursor
            if cursor is None or len(found) >= MAX_TOOLS:
                break
        return found[:MAX_TOOLS]

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        """Call a tool.

        Raises:
            ServerGone: the session broke; whether the tool has run is not known.

        Cancellation: the server is told, and may or may not stop.
        """
        from mcp import MCPError
        from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult

        request = CallToolRequest(params=CallToolRequestParams(name=name, arguments=arguments))
        try:
            result = await self._session.send_request(request, CallToolResult)
        except MCPError as error:
            if await self.answers():
                return ToolOutcome(content=error.error.message, is_error=True)
            raise ServerGone(error.error.message) from error
        except ValueError as error:
            return ToolOutcome(content="The server's answer is not what the protocol says.", is_error=bool(error))
        return ToolOutcome(content=_text(result), is_error=result.is_error is True)

    async def answers(self) -> bool:
        """Whether the server still answers."""
        from mcp import MCPError

        try:
            with trio.fail_after(PING_SECONDS):
                await self._session.send_ping()
        except (MCPError, trio.TooSlowError, ValueError):
            return False
        return True


def _text(result: Any) -> str:
    """A result as the model reads it: texts as they are, and of everything else what it is."""
    parts = [_part(block) for block in result.content]
    if not parts and result.structured_content is not None:
        parts = [json.dumps(result.structured_content, ensure_ascii=False)]
    return excerpt("\n".join(parts), MAX_RESULT_CHARS)


def _part(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "resource":
            text = getattr(block.resource, "text", None)
            return str(text) if text is not None else f"[{block.resource.uri}, not text]"
        case "resource_link":
            return f"[{block.name}: {block.uri}]"
        case "image" | "audio":
            return f"[{block.type}, {block.mime_type}, not shown]"
        case other:
            return f"[{other}, not shown]"


@asynccontextmanager
async def mcp_session(
    spec: ServerSpec, *, folder: str, said: Said, changed: Callable[[], None], ended: Callable[[], None]
) -> AsyncIterator[McpSession]:
    """Start or reach a server and initialize a session with it.

    Args:
        changed: called when the server says that its tools are others now.
        ended: called when the process ends by itself; an endpoint is known to be gone when a call fails.

    Raises:
        OSError, mcp.MCPError, ValueError, RuntimeError: it cannot be used.
    """
    import mcp_types
    from mcp.client.session import ClientSession

    async def on_message(message: Any) -> None:
        await trio.lowlevel.checkpoint()
        if isinstance(message, mcp_types.ToolListChangedNotification):
            changed()

    async with (
        _transport(spec, folder, said, ended) as (incoming, outgoing),
        ClientSession(
            incoming,
            outgoing,
            client_info=mcp_types.Implementation(name="meerkatd", version=VERSION),
            message_handler=on_message,
        ) as session,
    ):
        await session.initialize()
        yield McpSession(session)


@asynccontextmanager
async def _transport(
    spec: ServerSpec, folder: str, said: Said, ended: Callable[[], None]
) -> AsyncIterator[tuple[Any, Any]]:
    if spec.url is None:
        async with stdio_transport(spec, folder=folder, said=said, ended=ended) as streams:
            yield streams
        return
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    timeout = httpx2.Timeout(_HTTP_CONNECT_SECONDS, read=_HTTP_READ_SECONDS)
    async with (
        httpx2.AsyncClient(headers=dict(spec.headers), timeout=timeout) as client,
        streamable_http_client(spec.url, http_client=client) as streams,
    ):
        yield streams
