"""What a daemon gets hold of before it serves: logs, locks, sockets, and what its predecessor left.

There are three ways to begin. A client or a person starts the program: it makes its own socket. A service manager does:
it hands sockets over. Or the process was a daemon before: it hands over sockets and locks.
"""

import dataclasses
import logging
import os
from collections.abc import Mapping, MutableMapping, Sequence

import trio

from meerkat_client.wire.build import build_id
from meerkat_client.wire.version import VERSION

from ..settings import LEAST_IDLE_SECONDS_MANAGED, Settings
from .crashes import CrashLog
from .endpoint import Endpoint, Inherited
from .lock import AlreadyRunning, InstanceLock, adopt_instance_lock, take_instance_lock
from .logs import configure_logging
from .succession import HandOver, Successor, take_hand_over
from .supervisor import Supervisor

logger = logging.getLogger(__name__)

# A service manager would start us again and again while a daemon that somebody else started still drains: its turns
# have 10 s, its commits some more.
PATIENCE_SECONDS = 40.0
_LOOK_SECONDS = 0.1


class Start:
    """What `begin` got hold of. A context manager: leaving it gives everything up.

    Attributes:
        settings: those of the command line, with the place of the socket as it is.
        endpoint: it listens.
        lock: None when somebody else holds it, as in a test.
        supervisor: who started us.
        restarts: how often this process went on with another program.
        build: of the program's files at the time of the start.
        safe_mode: too many predecessors crashed: open no realm.
        crashes: their times.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        endpoint: Endpoint,
        supervisor: Supervisor,
        lock: InstanceLock | None = None,
        restarts: int = 0,
        safe_mode: bool = False,
    ) -> None:
        self.settings = settings
        self.endpoint = endpoint
        self.lock = lock
        self.supervisor = supervisor
        self.restarts = restarts
        self.build = build_id()
        self.safe_mode = safe_mode
        self.crashes = CrashLog(settings.state_root)

    @classmethod
    def without_lock(cls, settings: Settings) -> "Start":
        """For a daemon inside of another program, which holds the lock."""
        return cls(settings, endpoint=Endpoint(settings.places), supervisor=Supervisor({}, ()))

    def __enter__(self) -> "Start":
        return self

    def __exit__(self, *_: object) -> None:
        self.endpoint.close()
        if self.lock is not None:
            self.lock.close()

    @property
    def idle_seconds(self) -> float:
        """When to leave; 0 for never. Under a service manager it is not worth it soon, unless somebody insists."""
        chosen = self.settings.idle_seconds
        if not chosen or self.settings.idle_chosen or not self.supervisor.managed:
            return chosen
        return max(chosen, LEAST_IDLE_SECONDS_MANAGED)

    def ended_in_order(self) -> None:
        """The last word of a daemon that ended because it was to."""
        _forget_crashes(self.crashes)
        logger.info("stopped", extra={"pid": os.getpid()})

    def succession(self, command: Sequence[str], environ: Mapping[str, str]) -> Successor:
        """Hand everything over; what is left of this daemon must not listen or lock any more."""
        assert self.lock is not None, "only who holds the lock can hand it over"
        _forget_crashes(self.crashes)
        sockets, identity, managed = self.endpoint.hand_over()
        self.endpoint = Endpoint(self.settings.places)
        held = HandOver(
            lock=self.lock.hand_over(),
            sockets=tuple(sock.detach() for sock in sockets),
            identity=identity,
            managed=managed,
            restarts=self.restarts + 1,
        )
        logger.info("going on with the installed program", extra={"command": list(command)})
        self.supervisor.alive()
        return Successor(command, {**environ, **self.supervisor.environment}, held)


async def begin(settings: Settings, environ: MutableMapping[str, str]) -> Start:
    """Become the daemon of the state root, and listen.

    Args:
        environ: what is only for this process is taken out of it.

    Raises:
        AlreadyRunning: another process is.
        PathRefused: a directory belongs to someone else, or others may write in it.
        OSError: a file or socket cannot be made.
    """
    supervisor = Supervisor.of(environ)
    handed = take_hand_over(environ)
    inherited = supervisor.inherited() if handed is None else handed.inherited()
    settings = _where_it_listens(settings, inherited)
    lock = await _locked(settings, supervisor, handed)
    try:
        endpoint = Endpoint(settings.places, inherited)
        configure_logging(settings.log_path, foreground=settings.foreground)
        crashes = CrashLog(settings.state_root)
        if lock.after_crash:
            _note_crash(crashes)
        endpoint.open()
    except BaseException:
        lock.close()
        raise
    start = Start(
        settings,
        endpoint=endpoint,
        supervisor=supervisor,
        lock=lock,
        restarts=0 if handed is None else handed.restarts,
        safe_mode=supervisor.managed and crashes.is_looping(),
    )
    _tell(start)
    return start


def _where_it_listens(settings: Settings, inherited: Inherited | None) -> Settings:
    """The settings with the name that inherited sockets have: the one by which clients find us."""
    if inherited is None:
        return settings
    name = inherited.sockets[0].getsockname()
    # A path that was too long for an address was reached through a descriptor; then it is the one that we know.
    if not isinstance(name, str) or not name.startswith("/") or name.startswith("/proc/self/fd/"):
        return settings
    if os.path.basename(name).startswith("."):
        # Bound under its first, temporary name, and renamed since.
        return settings
    places = settings.places._replace(socket_path=name, runtime_dir=os.path.dirname(name))
    return dataclasses.replace(settings, places=places)


async def _locked(settings: Settings, supervisor: Supervisor, handed: HandOver | None) -> InstanceLock:
    if handed is not None:
        return adopt_instance_lock(settings.places, handed.lock)
    with trio.move_on_after(PATIENCE_SECONDS if supervisor.managed else 0):
        while True:
            try:
                return take_instance_lock(settings.places)
            except AlreadyRunning as running:
                supervisor.status(f"waiting: {running}")
                await trio.sleep(_LOOK_SECONDS)
    return take_instance_lock(settings.places)


def _note_crash(crashes: CrashLog) -> None:
    try:
        crashes.note()
    except OSError:
        logger.exception("a crash cannot be written down")


def _forget_crashes(crashes: CrashLog) -> None:
    try:
        crashes.clear()
    except OSError:
        logger.exception("the crashes cannot be forgotten")


def _tell(start: Start) -> None:
    extra = {
        "version": VERSION,
        "build": start.build,
        "pid": os.getpid(),
        "socket": start.settings.socket_path,
        "restarts": start.restarts,
        "managed": start.supervisor.managed,
    }
    logger.info("started", extra=extra)
    if start.safe_mode:
        count = start.crashes.recent()
        logger.error("in safe mode, as the last daemons crashed: no realm is opened", extra={"crashes": count})
