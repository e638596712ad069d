"""The composition root: the only file that knows all layers.

lock ─► logs ─► sockets ─► providers ─► realms ─► methods ─► listener ─► ready ... leave ─► drain ─► commit ─► exit,
or the next program in this process
"""

import logging
import os
import sys
from collections.abc import Awaitable, Callable

import trio

from meerkat_client.wire.codes import row
from meerkat_client.wire.faults import WireError

from .agent.agents import Agents
from .agent.credentials import Credentials
from .agent.provider_pool import ProviderPool
from .agent.realm_agents import RealmAgents
from .agent.tools.mcp.pool import McpPool
from .errors import InvalidParams, from_os_error
from .lifecycle.departure import Departure
from .lifecycle.idle import Idleness
from .lifecycle.lock import EXIT_BUSY, AlreadyRunning
from .lifecycle.memory import give_memory_back
from .lifecycle.ready import ReadyPipe
from .lifecycle.serving import serve_until_left
from .lifecycle.signals import watch_signals
from .lifecycle.start import Start, begin
from .lifecycle.succession import Successor, command_of
from .lifecycle.watchdog import feed_watchdog
from .listener.loopback import LoopbackDoors
from .listener.unix import UnixListener
from .methods.context import Services
from .methods.daemon import process_facts
from .methods.dispatch import MethodDispatcher
from .realms.backup import Backups
from .realms.checking import Checks
from .realms.config.user import UserConfig
from .realms.converting import Conversions
from .realms.exporting import Exports
from .realms.incoming import Incoming
from .realms.realm import Realm
from .realms.registry import Registry
from .realms.removal import Removal
from .realms.trash import Trash
from .sessions.clock import now_ms
from .settings import Settings
from .telemetry.metrics import Metrics
from .telemetry.traces import start_traces

log = logging.getLogger(__name__)

# After their deadline turns are interrupted; committing what they have produced takes milliseconds, a slow disk longer.
COMMIT_GRACE_SECONDS = 10.0

MakeAgents = Callable[[Realm], Agents]


async def serve(settings: Settings, ready: ReadyPipe) -> int | Successor:
    """Be the daemon until told to leave. Returns the exit status, or the program that is to go on in this process.

    Args:
        ready: told when clients can connect, or that another daemon owns the state root.
    """
    try:
        start = await begin(settings, os.environ)
    except AlreadyRunning as running:
        ready.busy()
        print(f"meerkatd: {running}.", file=sys.stderr)
        return EXIT_BUSY
    except WireError as refused:
        return _failed(ready, code=refused.code, message=refused.message, hint=refused.hint)
    except OSError as error:
        fault = from_os_error(error, doing=f"use the state root {settings.state_root}")
        return _failed(ready, code=fault.code, message=fault.message, hint=fault.hint)
    with start:
        pool, servers = ProviderPool(), McpPool()
        try:
            make_agents = _agents_maker(pool, servers)
        except InvalidParams as invalid:
            return _failed(ready, code=invalid.code, message=invalid.message, hint=invalid.hint)
        end_traces = await _start_traces()
        daemon = Daemon(start, make_agents=make_agents, preload=pool.preload)
        try:
            async with servers.running():
                await daemon.run(ready)
        finally:
            with trio.CancelScope(shield=True):
                await pool.aclose()
                if end_traces is not None:
                    await trio.to_thread.run_sync(end_traces)
        if daemon.departure.is_restart:
            departure = daemon.departure
            environment = os.environ if departure.environment is None else departure.environment
            command = command_of(departure.program, sys.argv[1:], start.settings.places)
            return start.succession(command, environment)
        start.ended_in_order()
    return 0


async def _start_traces() -> Callable[[], None] | None:
    """Traces, if the environment asks for them. That they cannot be sent keeps nobody from working."""
    try:
        return await trio.to_thread.run_sync(start_traces, os.environ)
    except ImportError:
        log.error("no traces: their library is missing; pip install 'meerkatd[traces]'")
        return None


def _failed(ready: ReadyPipe, *, code: str, message: str, hint: str) -> int:
    """Tell whoever waits, and stderr, why there will be no daemon; the exit status."""
    ready.failed(code=code, message=message, hint=hint)
    print(f"meerkatd: {message} {hint}", file=sys.stderr)
    return row(code).exit


def _agents_maker(pool: ProviderPool, servers: McpPool) -> MakeAgents:
    """Raises InvalidParams when the environment has a key or base URL that cannot be one."""
    own = Credentials.from_environment(os.environ)

    def make(realm: Realm) -> Agents:
        return RealmAgents(
            pool,
            servers,
            realm.tools,
            realm_id=realm.realm_id,
            settings=realm.settings.get,
            daemon_credentials=own,
        )

    return make


class Daemon:
    """A daemon that holds its lock: from the first listening socket to the last commit.

    Args:
        start: what it has got hold of, or its settings, when somebody else looks after the lock.
        make_agents: builds each realm's way to models and tools; tests hand in their own.
        preload: loads what a turn will need, once a client is there and before it asks.

    Attributes:
        departure: whether and why it is to leave.
    """

    def __init__(
        self, start: Start | Settings, *, make_agents: MakeAgents, preload: Callable[[], Awaitable[None]]
    ) -> None:
        self._start = start if isinstance(start, Start) else Start.without_lock(start)
        self._settings = self._start.settings
        self._make_agents = make_agents
        self._preload = preload
        self._preloading = False
        self._doors = LoopbackDoors(self._settings.runtime_dir)
        self._metrics = Metrics(self._settings.metrics)
        self._started = trio.current_time()
        self.departure = Departure(deadline=self._settings.drain_seconds)

    async def run(self, ready: ReadyPipe) -> None:
        """Serve until a signal, `daemon/stop` or idleness, then let turns end, commit, and close every realm."""
        async with trio.open_nursery() as turns:
            registry = Registry(
                self._settings.state_root,
                user_config=UserConfig(self._settings.user_config),
                make_agents=self._make_agents,
                nursery=turns,
            )
            try:
                await self._serve(registry, ready)
            finally:
                with trio.CancelScope(shield=True):
                    registry.interrupt_all("interrupted because the daemon was stopped")
                    await registry.turns_ended()
                    await registry.aclose()

    async def _serve(self, registry: Registry, ready: ReadyPipe) -> None:
        async with trio.open_nursery() as service:
            await service.start(watch_signals, self.departure, service.cancel_scope.cancel)
            service.start_soon(registry.tend)
            services = self._services(registry, service, lambda: listener.connections)
            listener = UnixListener(MethodDispatcher(services))
            await service.start(self._doors.run, listener)
            await self._metrics.start(lambda: self._gauges(registry, listener), service)
            service.start_soon(feed_watchdog, self._start.supervisor, registry.prove_stores)
            await serve_until_left(
                self._start.endpoint,
                listener,
                departure=self.departure,
                ready=lambda: self._ready(ready),
                drained=lambda: self._drain(registry),
                lock=self._start.lock,
                idleness=self._idleness(registry),
            )
            service.cancel_scope.cancel()

    def _ready(self, ready: ReadyPipe) -> None:
        ready.ready()
        self._start.supervisor.status("in safe mode: see the log" if self._start.safe_mode else "serving")
        self._start.supervisor.ready()

    def _gauges(self, registry: Registry, listener: UnixListener) -> dict[str, float]:
        process = process_facts()
        return {
            "meerkat_connections": listener.connections,
            "meerkat_open_realms": registry.open_realms,
            "meerkat_active_turns": registry.active_turns,
            "meerkat_event_streams": registry.readers,
            "meerkat_memory_bytes": process["rss_bytes"],
            "meerkat_open_files": process["open_files"],
            "meerkat_uptime_seconds": trio.current_time() - self._started,
        }

    def _services(self, registry: Registry, service: trio.Nursery, connections: Callable[[], int]) -> Services:
        def preload() -> None:
            if not self._preloading:
                self._preloading = True
                service.start_soon(self._preload)

        incoming = Incoming(registry, self._settings.state_root)
        trash = Trash(self._settings.state_root)
        return Services(
            settings=self._settings,
            registry=registry,
            removal=Removal(registry, trash),
            backups=Backups(incoming),
            exports=Exports(incoming),
            conversions=Conversions(incoming, trash),
            checks=Checks(incoming),
            started_ms=now_ms(),
            departure=self.departure,
            connections=connections,
            metrics_url=lambda: self._metrics.url,
            doors=self._doors,
            preload=preload,
            restarts=self._start.restarts,
            build=self._start.build,
            managed=self._start.supervisor.managed,
            safe_mode=self._start.crashes if self._start.safe_mode else None,
        )

    def _idleness(self, registry: Registry) -> Idleness | None:
        seconds = self._start.idle_seconds
        if not seconds:
            return None
        return Idleness(seconds, busy=lambda: registry.active_turns > 0, rest=give_memory_back)

    async def _drain(self, registry: Registry) -> None:
        """Let turns end by themselves up to the deadline, then interrupt them and wait for their commits."""
        self._doors.stop_accepting()
        supervisor = self._start.supervisor
        supervisor.reloading() if self.departure.is_restart else supervisor.stopping()
        await self._turns_end_or_time_is_up(registry)
        interrupted = registry.interrupt_all(
            "interrupted because the daemon was restarted"
            if self.departure.is_restart
            else "interrupted because the daemon was stopped"
        )
        if interrupted:
            log.warning("interrupted turns at the deadline", extra={"turns": interrupted})
        with trio.move_on_after(COMMIT_GRACE_SECONDS):
            await registry.turns_ended()

    async def _turns_end_or_time_is_up(self, registry: Registry) -> None:
        with trio.move_on_after(self.departure.deadline):
            async with trio.open_nursery() as waiting:

                async def hurried() -> None:
                    await self.departure.hurried()
                    waiting.cancel_scope.cancel()

                waiting.start_soon(hurried)
                await registry.turns_ended()
                waiting.cancel_scope.cancel()
