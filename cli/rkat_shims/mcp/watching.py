"""Who wants to be told that a resource changed. A session changes when a turn of it begins and when one ends, whoever
starts it; each watched resource has a stream of the session's events."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self

import anyio
from anyio.abc import TaskGroup, TaskStatus
from mcp.server import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated
from mcp.types import SubscriptionsListenRequestParams, SubscriptionsListenResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from meerkat_client.errors import RkatError
from meerkat_client.events import RunCompleted, RunFailed, RunStarted

from .daemon import Daemon
from .resources import address, failure

Context = ServerRequestContext[Any, Any]
Tell = Callable[[str], Awaitable[None]]

# A client watches what it shows; each watched resource takes one of the daemon's connections.
MAX_WATCHED: Final = 16


class Watching:
    """The watched resources of one client, in both ways that the protocol has had for it. A context manager."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._tasks: TaskGroup = anyio.create_task_group()
        self._bus = InMemorySubscriptionBus()
        self._listening = ListenHandler(self._bus)
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._count = 0

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def subscribe(self, uri: str, context: Context) -> None:
        """`resources/subscribe`, of versions before 2026. Twice is once.

        Raises:
            MCPError: there is no such resource, or too many are watched.
        """
        if uri not in self._scopes:
            self._scopes[uri] = await self._tasks.start(self._follow, uri, context.session.send_resource_updated)

    def unsubscribe(self, uri: str) -> None:
        """What is not watched is passed over."""
        scope = self._scopes.pop(uri, None)
        if scope is not None:
            scope.cancel()

    async def listen(self, context: Context, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """`subscriptions/listen`, from 2026 on: for as long as the request lasts."""

        async def publish(uri: str) -> None:
            await self._bus.publish(ResourceUpdated(uri))

        async with anyio.create_task_group() as tasks:
            for uri in dict.fromkeys(params.notifications.resource_subscriptions or ()):
                await tasks.start(self._follow, uri, publish)
            result = await self._listening(context, params)
            tasks.cancel_scope.cancel()
        return result

    async def list_changed(self, context: Context) -> None:
        """Tell that the list of sessions is another one."""
        if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
            await self._bus.publish(ResourcesListChanged())
        else:
            await context.session.send_resource_list_changed()

    async def _follow(self, uri: str, tell: Tell, *, task_status: TaskStatus[anyio.CancelScope]) -> None:
        if self._count >= MAX_WATCHED:
            raise failure(RkatError("OVERLOADED", f"{MAX_WATCHED} resources are watched, which is the most."))
        session_id = address(uri).session_id
        self._count += 1
        try:
            with anyio.CancelScope() as scope:
                try:
                    events = await self._daemon.subscribe(session_id)
                except RkatError as error:
                    raise failure(error) from error
                task_status.started(scope)
                async with events:
                    try:
                        async for envelope in events:
                            if isinstance(envelope.payload, RunStarted | RunCompleted | RunFailed):
                                await tell(uri)
                    except RkatError:
                        # The session or the daemon is gone for good: that is the last change there is to tell.
                        await tell(uri)
        finally:
            self._count -= 1
            self._scopes.pop(uri, None)
