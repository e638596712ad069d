"""Puts it together: the SDK's server with our handlers, between stdin and stdout, and the way in which it ends."""

import functools
from typing import Any, Final

import anyio
from mcp import MCPError
from mcp.server import NotificationOptions, Server, ServerRequestContext
from mcp.shared.message import SessionMessage
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    EmptyResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    SubscribeRequestParams,
    ToolAnnotations,
    UnsubscribeRequestParams,
)
from mcp.types import Tool as ToolDefinition

from meerkat_client.wire.version import VERSION

from .calls import Calls
from .daemon import Daemon
from .event_streams import EventStreams
from .flights import Flights
from .options import NAME, Options
from .resources import Resources
from .schemas import input_schema, output_schema
from .stdio import Deaf, Incoming, Stdio
from .tools import BY_NAME, CHANGES_LIST, TOOLS
from .watching import Watching

# After the end of stdin, requests in flight have this long to end; stock clients wait for us twice as long.
GRACE_SECONDS: Final = 1.0

# After that, to tell those that are still in flight that they are left.
_LAST_WORDS_SECONDS: Final = 0.25

INSTRUCTIONS: Final = (
    "Sessions of agents that run on this machine. meerkat_run starts one and gives its first answer, meerkat_resume "
    "goes on with it, by session_id; `last` is the one that changed last. A session runs one turn at a time: "
    "SESSION_BUSY says who runs it. Sessions stay when this server ends, and so do turns that run."
)

Context = ServerRequestContext[Any, Any]


class Handlers:
    """What the client asks, one method each."""

    def __init__(self, options: Options, daemon: Daemon, watching: Watching) -> None:
        self._options = options
        self._daemon = daemon
        self._watching = watching
        self._calls = Calls(options, daemon, EventStreams(daemon))
        self._resources = Resources(daemon)

    def server(self) -> Server[Any]:
        """The SDK's server with these handlers."""
        return Server(
            NAME,
            version=VERSION,
            title="Meerkat sessions",
            instructions=INSTRUCTIONS,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
            on_subscribe_resource=self.subscribe,
            on_unsubscribe_resource=self.unsubscribe,
            on_subscriptions_listen=self._watching.listen,
            on_completion=self.complete,
        )

    async def list_tools(self, _: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        """All of them at once: they are few."""
        return ListToolsResult(tools=list(definitions(expose_paths=self._options.expose_paths)))

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        """One tool.

        Raises:
            MCPError: there is no such tool.
        """
        tool = BY_NAME.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}", {"tools": list(BY_NAME)})
        self._introduce(context)
        result = await self._calls.carry_out(tool, params.arguments or {}, context)
        if tool.name in CHANGES_LIST and not result.is_error:
            await self._watching.list_changed(context)
        return result

    async def list_resources(self, context: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
        self._introduce(context)
        return await self._resources.page(params)

    async def list_templates(self, _: Context, params: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
        return await self._resources.templates()

    async def read_resource(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        self._introduce(context)
        return await self._resources.read(params.uri)

    async def subscribe(self, context: Context, params: SubscribeRequestParams) -> EmptyResult:
        await self._watching.subscribe(params.uri, context)
        return EmptyResult()

    async def unsubscribe(self, _: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        self._watching.unsubscribe(params.uri)
        return EmptyResult()

    async def complete(self, context: Context, params: CompleteRequestParams) -> CompleteResult:
        self._introduce(context)
        return await self._resources.complete(params)

    def _introduce(self, context: Context) -> None:
        """Those who find a session busy are told which program is behind us."""
        known = context.session.client_params
        if known is not None:
            self._daemon.speak_for(known.client_info.name)


@functools.cache
def definitions(*, expose_paths: bool) -> tuple[ToolDefinition, ...]:
    """What the client is told of the tools."""
    return tuple(
        ToolDefinition(
            name=tool.name,
            title=tool.title,
            description=tool.summary,
            input_schema=input_schema(tool),
            output_schema=output_schema(tool, expose_paths=expose_paths),
            annotations=ToolAnnotations(
                title=tool.title,
                read_only_hint=tool.effect.read_only,
                destructive_hint=tool.effect.destructive,
                idempotent_hint=tool.effect.idempotent,
                open_world_hint=tool.effect.open_world,
            ),
        )
        for tool in TOOLS
    )


async def serve(options: Options, *, stdin: int, stdout: int) -> None:
    """Serve one client until it has no more to say, or does not listen.

    Args:
        stdin, stdout: descriptors; not closed here.

    Cancellation: turns of this client are interrupted, as if it had taken its requests back.
    """
    flights = Flights()
    stdio = Stdio(stdin, stdout, flights)
    into, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, out_of = anyio.create_memory_object_stream[SessionMessage](0)
    try:
        async with Daemon(options) as daemon, Watching(daemon) as watching, anyio.create_task_group() as tasks:
            server = Handlers(options, daemon, watching).server()
            told = server.create_initialization_options(NotificationOptions(resources_changed=True))
            # Each leaves the daemon before anything is cancelled: a cancelled request would interrupt its turn.
            tasks.start_soon(_read, stdio, into, flights, daemon)
            tasks.start_soon(_write, stdio, out_of, daemon)
            await server.run(incoming, outgoing, told)
            tasks.cancel_scope.cancel()
    except* Deaf:
        # The client is gone, and nobody is there to be told.
        pass


async def _read(stdio: Stdio, into: Incoming, flights: Flights, daemon: Daemon) -> None:
    async with into:
        try:
            await stdio.read(into)
            with anyio.move_on_after(GRACE_SECONDS):
                await flights.landed()
            daemon.close()
            with anyio.move_on_after(_LAST_WORDS_SECONDS):
                await flights.landed()
        finally:
            daemon.close()


async def _write(stdio: Stdio, messages: Any, daemon: Daemon) -> None:
    async with messages:
        try:
            await stdio.write(messages)
        finally:
            daemon.close()
