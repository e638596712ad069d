"""One MCP server while the daemon knows it: started when it is wanted, started again when it dies, ended when it idles.

All of its life is one task (`run`), so the process, the session and what they have open are entered and left in one
place. Everybody else leaves words: leases say that it is wanted, `restart` that it is to begin anew. Nobody waits for
it longer than its `startup_timeout`, and no turn fails because of it.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import trio

from ...loop import ToolOutcome
from .session import McpSession, RemoteTool, ServerGone, load, mcp_session
from .spec import ServerSpec
from .state import STEADY_SECONDS, State, advance, pause_after
from .stdio import Said

log = logging.getLogger(__name__)

# Kept for the next turn of a conversation; a server that is started anew has lost what it remembered.
IDLE_SECONDS = 300.0
# To start and to list its tools; a package that is fetched first takes its time. Turns do not wait this long.
MAX_START_SECONDS = 120.0
# Calls under way may end before a restart that somebody asked for.
RESTART_GRACE_SECONDS = 30.0


class McpServer:
    """A server, over as many lives as it takes.

    Args:
        folder: where its process runs.
        forget: called when it has stopped, in the same step, so that nobody gets one that is about to end.

    Attributes:
        state: see `state`.
        problem: why it is not ready, for people and for the model; None when it is, or was not wanted yet.
    """

    def __init__(self, spec: ServerSpec, *, folder: str, forget: Callable[["McpServer"], None]) -> None:
        self.spec = spec
        self.state: State = "stopped"
        self.problem: str | None = None
        self._folder = folder
        self._forget = forget
        self._session: McpSession | None = None
        self._tools: Sequence[RemoteTool] = ()
        self._leases = 0
        self._calls = 0
        self._settled = trio.Event()
        self._news = trio.Event()
        self._over = False
        self._restart = False
        self._relist = False
        self._failures = 0
        self._began = float("-inf")

    def __repr__(self) -> str:
        return f"<McpServer {self.spec.name} {self.state} leases={self._leases} calls={self._calls}>"

    @contextmanager
    def lease(self) -> Iterator[None]:
        """It is wanted while the block runs."""
        self._leases += 1
        self._tell()
        try:
            yield
        finally:
            self._leases -= 1
            self._tell()

    async def settled(self) -> None:
        """Wait until it is ready, or has failed; at most its `startup_timeout`, from the beginning of the attempt."""
        began = max(self._began, trio.current_time()) if self.state == "stopped" else self._began
        with trio.move_on_at(began + self.spec.startup_timeout) as scope:
            await self._settled.wait()
        if scope.cancelled_caught and self.problem is None:
            self.problem = f"it is not ready after {self.spec.startup_timeout:g} seconds"

    @property
    def tools(self) -> Sequence[RemoteTool]:
        """What it offers, also while it is started again; nothing when it cannot be."""
        return self._tools

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        """Call one of its tools. That the server dies meanwhile is an outcome, too."""
        if self._session is None:
            await self.settled()
        session = self._session
        if session is None:
            why = f": {self.problem}" if self.problem else ""
            return ToolOutcome(content=f"The MCP server {self.spec.name!r} is not running{why}.", is_error=True)
        self._calls += 1
        try:
            return await session.call(name, arguments)
        except ServerGone:
            self._lost()
            return ToolOutcome(
                content=f"The MCP server {self.spec.name!r} ended during the call, which may have run.", is_error=True
            )
        finally:
            self._calls -= 1
            self._tell()

    def restart(self) -> None:
        """Begin anew once the calls under way have ended; at once when there is none."""
        self._restart = True
        self._failures = 0
        self._unsettle()
        self._tell()

    # -- its life -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live until nobody has wanted it for a while. Cancellation ends it with its process."""
        try:
            await load()
            while await self._wanted():
                self._step("wanted" if self.state == "stopped" else "again")
                await self._live()
                if self.state != "stopped":
                    await self._pause()
        except* Exception as errors:
            # Whatever it is, it is this server's affair and not the daemon's.
            self.problem = _reason(errors)
            log.error("the MCP server %s cannot be run", self.spec.name, exc_info=errors)
        finally:
            self.state = "stopped"
            self._session, self._tools = None, ()
            self._settled.set()
            self._forget(self)

    async def _wanted(self) -> bool:
        """Whether somebody wants it; that it fails is remembered for a while, so that not each turn waits for it."""
        if self._failures:
            with trio.move_on_after(IDLE_SECONDS):
                while not self._leases:
                    await self._next_news()
        return self._leases > 0

    async def _live(self) -> None:
        said, began = Said(), trio.current_time()
        self._began = began
        self._over = self._restart = False
        try:
            with trio.CancelScope() as starting:
                starting.deadline = began + MAX_START_SECONDS
                async with mcp_session(
                    self.spec, folder=self._folder, said=said, changed=self._on_change, ended=self._lost
                ) as session:
                    self._tools = await session.tools()
                    starting.deadline = float("inf")
                    self._session = session
                    self._ready()
                    await self._serve(session)
            reason = "it did not start in time" if self.state == "starting" else "it ended"
        except* Exception as errors:
            # Also what a transport says while it is cancelled: the cancellation goes on without it.
            reason = _reason(errors)
        finally:
            self._session = None
        if self.state == "stopped":
            return
        self._failed(f"{reason} ({last})" if (last := said.last_line()) else reason, began)

    def _failed(self, reason: str, began: float) -> None:
        self._failures = (
            1 if self.state == "ready" and trio.current_time() - began > STEADY_SECONDS else (self._failures + 1)
        )
        if self.state == "ready":
            self._step("gone")
            self._unsettle()
        else:
            self._step("failed")
            self._tools = ()
            self._settled.set()
        if not self._restart:
            self.problem = self.spec.without_secrets(reason)
            log.warning("the MCP server %s is not running: %s", self.spec.name, self.problem)

    def _ready(self) -> None:
        self._step("ready")
        self.problem = None
        self._settled.set()

    async def _serve(self, session: McpSession) -> None:
        """Until it dies, is to begin anew, or nobody has wanted it for a while."""
        while not self._over:
            if self._relist:
                self._relist = False
                self._tools = await session.tools()
            if self._restart:
                with trio.move_on_after(RESTART_GRACE_SECONDS):
                    while self._calls and not self._over:
                        await self._next_news()
                return
            idle = not self._leases and not self._calls
            with trio.move_on_after(IDLE_SECONDS if idle else float("inf")) as waiting:
                await self._next_news()
            if waiting.cancelled_caught:
                self._step("let_go")
                self._unsettle()
                return

    async def _pause(self) -> None:
        """Wait before the next attempt, unless it is wanted anew at once."""
        if self._restart:
            return
        with trio.move_on_after(pause_after(self._failures)):
            while not self._restart:
                await self._next_news()

    def _step(self, happening: Any) -> None:
        self.state = advance(self.state, happening)

    def _on_change(self) -> None:
        self._relist = True
        self._tell()

    def _lost(self) -> None:
        self._over = True
        if self.state == "ready":
            self._session = None
            self._unsettle()
        self._tell()

    def _unsettle(self) -> None:
        """Whoever asks from now on waits for the next life."""
        if self._settled.is_set():
            self._settled = trio.Event()
        self._began = trio.current_time()

    def _tell(self) -> None:
        self._news.set()

    async def _next_news(self) -> None:
        await self._news.wait()
        self._news = trio.Event()


def _reason(error: BaseException) -> str:
    """Why it cannot be used, in few words; what a library says is for people who set the server up."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, OSError):
        return (error.strerror or "it cannot be started").lower()
    text = " ".join(str(error).split())[:200]
    return text or type(error).__name__
