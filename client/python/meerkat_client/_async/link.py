"""The connection that all tasks of a client share, and that is made anew when it was lost.

One task of the client's own receives and gives each reply to whoever waits for it. A connection that is lost while
nobody needs it stays lost until somebody does: a client that only exists does not start the daemon again that was just
stopped. Tools count as a need.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, TypeVarTuple

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from .._protocol import Pending, ServerRequest
from ..errors import RkatError
from ..following import LOOK_SECONDS, MOST_LOOK_SECONDS, Losses
from ..options import ConnectOptions, explain
from ..requests import Ask
from ..tools import METHOD, Tool, Toolbox, answer, failure
from ..wire.limits import MAX_IN_FLIGHT
from .connection import Connection

if TYPE_CHECKING:
    # Generated, and of a hundred shapes: what loads them pays for all.
    from ..types import Initialized

log = logging.getLogger(__name__)

T = TypeVar("T")
Args = TypeVarTuple("Args")

# The daemon takes MAX_IN_FLIGHT requests of a connection at a time and refuses more. Turns may take hours, so they get
# no more than a part of that: an interrupt has to get through.
_SHORT_CALLS: Final = 8
_TURNS: Final = MAX_IN_FLIGHT - _SHORT_CALLS
# How long somebody who takes a turn back waits for its end, so that the session is free afterwards. An interrupted
# turn is committed within milliseconds, unless the disk is failing.
TAKE_BACK_SECONDS: Final = 5.0


class Link:
    """See the module. `open` first; `close` and `leave` last."""

    def __init__(self, options: ConnectOptions, tools: Toolbox[Any]) -> None:
        self._options = options
        self._tools = tools
        self._offered = 0
        self._connection: Connection | None = None
        self._waiting: dict[Pending, anyio.Event] = {}
        self._opening = anyio.Lock()
        self._limits = {True: anyio.CapacityLimiter(_TURNS), False: anyio.CapacityLimiter(_SHORT_CALLS)}
        self._streams: set[Connection] = set()
        self._tasks: TaskGroup = anyio.create_task_group()
        self._scopes: set[anyio.CancelScope] = set()
        self._closed = False
        self.info: Initialized

    def __repr__(self) -> str:
        state = "closed" if self._closed else "lost" if self._current_or_none() is None else "connected"
        return f"<Link {state} waiting={len(self._waiting)} streams={len(self._streams)}>"

    async def open(self, *, connect: bool = True) -> None:
        """Connect, or with `connect` false when something is first asked.

        Raises:
            RkatError: as `Connection.open`.
        """
        await self._tasks.__aenter__()
        if not connect:
            await anyio.lowlevel.checkpoint()
            return
        try:
            await self.ready()
        except BaseException:
            self.close()
            await self.leave()
            raise

    def close(self) -> None:
        """End the connection and its streams; turns go on without them. Safe to call twice, and from any task."""
        self._closed = True
        for stream in list(self._streams):
            stream.close()
        if self._connection is not None:
            self._connection.close()
        self._wake()
        # Not the task group's own scope: the body of the client is inside of it.
        for scope in list(self._scopes):
            scope.cancel()

    async def leave(self) -> None:
        """Wait for the link's own tasks; after `close`, in the task of `open`."""
        # What happens in the body of the client is not told to the task group: it would wrap it into a group.
        await self._tasks.__aexit__(None, None, None)

    # Asking

    async def ask(self, ask: Ask[T], *, begun: Callable[[Callable[[], None]], None] | None = None) -> T:
        """Ask and wait. A request that may be repeated outlives the loss of its connection.

        Args:
            begun: told each time that it was asked, with a function that takes the request back without ceasing to
                wait for what comes of that.

        Raises:
            RkatError: what was answered, or DAEMON_UNAVAILABLE.

        Cancellation: the request is taken back. A turn is interrupted then, and its end is waited for.
        """
        losses = Losses()
        async with self._limits[ask.runs_turn]:
            while True:
                try:
                    connection = await self.ready()
                    result = await self._call(connection, ask.method, ask.params, grace=ask.runs_turn, begun=begun)
                    return ask.parse(result)
                except RkatError as error:
                    if self._closed:
                        raise
                    losses.count(explain(error, getattr(self, "info", None)), repeatable=ask.repeatable)

    async def ready(self) -> Connection:
        """The connection, alive and with all tools offered."""
        self._refuse_if_closed()
        connection = self._current_or_none()
        if connection is not None and self._offered == self._tools.version:
            return connection
        async with self._opening:
            connection = self._current_or_none()
            if connection is None:
                connection = await self._open(self._options)
                self._connection, self._offered = connection, 0
                self.info = connection.info
                self._start(self._receive, connection)
            if self._offered != self._tools.version:
                version = self._tools.version
                await self._call(connection, "tools/register", {"tools": self._tools.definitions()})
                self._offered = version
        return connection

    async def stream_connection(self, *, start: bool = True) -> Connection:
        """A connection of a stream's own, to the same realm. Give it back to `end_stream`.

        Args:
            start: False when somebody stopped the daemon: then wait until anybody has started it again.
        """
        if start:
            await self.ready()
            connection = await self._open(self._options)
        else:
            connection = await self._when_one_runs()
        self._streams.add(connection)
        return connection

    async def _when_one_runs(self) -> Connection:
        options: ConnectOptions = {**self._options, "start": False}
        pause = LOOK_SECONDS
        while True:
            try:
                return await self._open(options)
            except RkatError as error:
                if error.code != "DAEMON_UNAVAILABLE" or self._closed:
                    raise
            await anyio.sleep(pause)
            pause = min(pause * 2, MOST_LOOK_SECONDS)

    def end_stream(self, connection: Connection) -> None:
        self._streams.discard(connection)
        connection.close()

    async def _open(self, options: ConnectOptions) -> Connection:
        known = getattr(self, "info", None)
        connection = await Connection.open(options, realm_id=known["realm_id"] if known is not None else None)
        try:
            self._refuse_if_closed()
        except RkatError:
            connection.close()
            raise
        return connection

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise closed()

    def _current_or_none(self) -> Connection | None:
        connection = self._connection
        if connection is None or connection.lost is not None or connection.leaving is not None:
            return None
        return None if connection.hung_up() else connection

    async def _call(
        self,
        connection: Connection,
        method: str,
        params: Mapping[str, Any],
        *,
        grace: bool = False,
        begun: Callable[[Callable[[], None]], None] | None = None,
    ) -> Any:
        pending = connection.begin(method, params)
        event = self._waiting[pending] = anyio.Event()
        try:
            self._flush(connection)
            if begun is not None:
                begun(partial(self._take_back, connection, pending))
            await event.wait()
        except BaseException:
            connection.take_back(pending)
            if grace:
                with anyio.move_on_after(TAKE_BACK_SECONDS, shield=True):
                    await event.wait()
            raise
        finally:
            del self._waiting[pending]
            connection.forget(pending)
        return pending.result()

    def _take_back(self, connection: Connection, pending: Pending) -> None:
        connection.take_back(pending)
        self._flush(connection)

    # The client's own tasks

    def _start(self, work: Callable[[*Args], Awaitable[None]], *args: *Args) -> None:
        # Shielded: somebody who is being cancelled may still have to wait for the end of a turn. `close` ends it.
        async def run() -> None:
            with anyio.CancelScope(shield=True) as scope:
                self._scopes.add(scope)
                try:
                    await work(*args)
                finally:
                    self._scopes.discard(scope)

        self._tasks.start_soon(run)

    async def _receive(self, connection: Connection) -> None:
        while connection.lost is None:
            await connection.receive()
            while connection.arrived:
                item = connection.arrived.popleft()
                if isinstance(item, ServerRequest):
                    self._start(self._answer, connection, item)
            self._wake()
        connection.close()
        if self._tools and not self._closed:
            await self._offer_again(stopped=connection.leaving == "stop")

    async def _offer_again(self, *, stopped: bool) -> None:
        """Turns that others start may call the tools, so a new connection is made at once, or when a daemon runs
        again that somebody stopped."""
        try:
            if stopped:
                (await self._when_one_runs()).close()
            await self.ready()
        except RkatError as error:
            log.warning("the tools of this client are not offered any more: %s", error)

    async def _answer(self, connection: Connection, request: ServerRequest) -> None:
        tool = self._tools.find(request.params) if request.method == METHOD else None
        if tool is None:
            connection.refuse(request, f"This client does not carry out {request.params.get('name', request.method)}.")
        else:
            connection.answer(request, await _carried_out(tool, request.params.get("arguments") or {}))
        self._flush(connection)

    def _flush(self, connection: Connection) -> None:
        if connection.unsent and not self._closed:
            self._start(connection.flush)

    def _wake(self) -> None:
        for pending, event in self._waiting.items():
            if pending.done:
                event.set()


async def _carried_out(tool: Tool[Any], arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        return answer(await tool.handler(arguments))
    except Exception as error:
        return failure(tool, error)


def closed() -> RkatError:
    return RkatError(
        "DAEMON_UNAVAILABLE", "This client is closed.", retryable=False, hint="Connect it, or make another one."
    )
