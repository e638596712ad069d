"""The composition root: the only file that knows all layers.

lock ─► logs ─► providers ─► registry of realms ─► methods ─► listener ─► ready ... stop ─► drain ─► commit ─► exit
"""

import logging
import os
import sys
from collections.abc import Awaitable, Callable

import trio

from meerkat_client.wire.codes import row
from meerkat_client.wire.faults import PathRefused, WireError
from meerkat_client.wire.version import VERSION

from .agent.agents import Agents
from .agent.credentials import Credentials
from .agent.provider_pool import ProviderPool
from .agent.realm_agents import RealmAgents
from .errors import InvalidParams, from_os_error
from .lifecycle.departure import Departure
from .lifecycle.endpoint import Endpoint
from .lifecycle.idle import Idleness
from .lifecycle.lock import EXIT_BUSY, AlreadyRunning, InstanceLock, take_instance_lock
from .lifecycle.logs import configure_logging
from .lifecycle.memory import give_memory_back
from .lifecycle.ready import ReadyPipe
from .lifecycle.serving import serve_until_left
from .lifecycle.signals import watch_signals
from .listener.loopback import LoopbackDoors
from .listener.unix import UnixListener
from .methods.context import Services
from .methods.daemon import process_facts
from .methods.dispatch import MethodDispatcher
from .realms.config.user import UserConfig
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


async def serve(settings: Settings, ready: ReadyPipe) -> int:
    """Be the daemon until told to stop. Returns the exit status.

    Args:
        ready: told when clients can connect, or that another daemon owns the state root.
    """
    try:
        lock = take_instance_lock(settings.places)
    except AlreadyRunning as running:
        ready.busy()
        print(f"meerkatd: {running}.", file=sys.stderr)
        return EXIT_BUSY
    except PathRefused as refused:
        return _failed(ready, code=refused.code, message=refused.message, hint=refused.hint)
    except OSError as error:
        return _refused_by_system(ready, settings, error)
    with lock:
        endpoint = Endpoint(settings.places)
        try:
            configure_logging(settings.log_path, foreground=settings.foreground)
            endpoint.open()
        except WireError as refused:
            return _failed(ready, code=refused.code, message=refused.message, hint=refused.hint)
        except OSError as error:
            return _refused_by_system(ready, settings, error)
        log.info("started", extra={"version": VERSION, "pid": os.getpid(), "socket": settings.socket_path})
        pool = ProviderPool()
        try:
            make_agents = _agents_maker(pool)
        except InvalidParams as invalid:
            endpoint.close()
            return _failed(ready, code=invalid.code, message=invalid.message, hint=invalid.hint)
        end_traces = await _start_traces()
        try:
            daemon = Daemon(settings, make_agents=make_agents, preload=pool.preload, lock=lock, endpoint=endpoint)
            await daemon.run(ready)
        finally:
            with trio.CancelScope(shield=True):
                await pool.aclose()
                if end_traces is not None:
                    await trio.to_thread.run_sync(end_traces)
        log.info("stopped", extra={"pid": os.getpid()})
    return 0


async def _start_traces() -> Callable[[], None] | None:
    """Traces, if the environment asks for them. That they cannot be sent keeps nobody from working."""
    try:
        return await trio.to_thread.run_sync(start_traces, os.environ)
    except ImportError:
        log.error("no traces: their library is missing; pip install 'meerkatd[traces]'")
        return None


def _refused_by_system(ready: ReadyPipe, settings: Settings, error: OSError) -> int:
    fault = from_os_error(error, doing=f"use the state root {settings.state_root}")
    return _failed(ready, code=fault.code, message=fault.message, hint=fault.hint)


def _failed(ready: ReadyPipe, *, code: str, message: str, hint: str) -> int:
    """Tell whoever waits, and stderr, why there will be no daemon; the exit status."""
    ready.failed(code=code, message=message, hint=hint)
    print(f"meerkatd: {message} {hint}", file=sys.stderr)
    return row(code).exit


def _agents_maker(pool: ProviderPool) -> MakeAgents:
    """Raises InvalidParams when the environment has a key or base URL that cannot be one."""
    own = Credentials.from_environment(os.environ)

    def make(realm: Realm) -> Agents:
        return RealmAgents(pool, realm.tools, settings=realm.settings.get, daemon_credentials=own)

    return make


class Daemon:
    """A daemon that holds its lock: from the first listening socket to the last commit.

    Args:
        make_agents: builds each realm's way to models and tools; tests hand in their own.
        preload: loads what a turn will need, once a client is there and before it asks.
        lock: looked after while serving; None when somebody else does.
        endpoint: where to listen; by default a socket of our own.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        make_agents: MakeAgents,
        preload: Callable[[], Awaitable[None]],
        lock: InstanceLock | None = None,
        endpoint: Endpoint | None = None,
    ) -> None:
        self._settings = settings
        self._make_agents = make_agents
        self._preload = preload
        self._preloading = False
        self._doors = LoopbackDoors(settings.runtime_dir)
        self._metrics = Metrics(settings.metrics)
        self._started = trio.current_time()
        self._lock = lock
        self._endpoint = endpoint or Endpoint(settings.places)
        self._departure = Departure(deadline=settings.drain_seconds)

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
            await service.start(watch_signals, self._departure, service.cancel_scope.cancel)
            service.start_soon(registry.tend)
            services = self._services(registry, service, lambda: listener.connections)
            listener = UnixListener(MethodDispatcher(services))
            await service.start(self._doors.run, listener)
            await self._metrics.start(lambda: self._gauges(registry, listener), service)
            await serve_until_left(
                self._endpoint,
                listener,
                departure=self._departure,
                ready=ready.ready,
                drained=lambda: self._drain(registry),
                lock=self._lock,
                idleness=self._idleness(registry),
            )
            service.cancel_scope.cancel()

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

        return Services(
            settings=self._settings,
            registry=registry,
            removal=Removal(registry, Trash(self._settings.state_root)),
            started_ms=now_ms(),
            departure=self._departure,
            connections=connections,
            metrics_url=lambda: self._metrics.url,
            doors=self._doors,
            preload=preload,
        )

    def _idleness(self, registry: Registry) -> Idleness | None:
        if not self._settings.idle_seconds:
            return None
        return Idleness(self._settings.idle_seconds, busy=lambda: registry.active_turns > 0, rest=give_memory_back)

    async def _drain(self, registry: Registry) -> None:
        """Let turns end by themselves up to the deadline, then interrupt them and wait for their commits."""
        self._doors.stop_accepting()
        await self._turns_end_or_time_is_up(registry)
        interrupted = registry.interrupt_all(
            "interrupted because the daemon was restarted"
            if self._departure.is_restart
            else "interrupted because the daemon was stopped"
        )
        if interrupted:
            log.warning("interrupted turns at the deadline", extra={"turns": interrupted})
        with trio.move_on_after(COMMIT_GRACE_SECONDS):
            await registry.turns_ended()

    async def _turns_end_or_time_is_up(self, registry: Registry) -> None:
        with trio.move_on_after(self._departure.deadline):
            async with trio.open_nursery() as waiting:

                async def hurried() -> None:
                    await self._departure.hurried()
                    waiting.cancel_scope.cancel()

                waiting.start_soon(hurried)
                await registry.turns_ended()
                waiting.cancel_scope.cancel()
