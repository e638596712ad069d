"""The service manager that started this process, if one did: the sockets that it hands over, and what it wants to know.

systemd's side is three variables and a datagram (sd_listen_fds(3), sd_notify(3)), launchd's one function of the
system's library (`launchd`). What systemd said is taken out of the environment, so that no tool that the daemon runs
takes it for its own; the next program of this process gets it back.
"""

import logging
import os
import socket
import time
from collections.abc import MutableMapping

from .endpoint import Inherited, identity_of
from .launchd import activated_sockets

logger = logging.getLogger(__name__)

_FIRST_FD = 3
_OF_THE_SOCKETS = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_OF_THE_NOTICES = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")


class Supervisor:
    """See the module.

    Attributes:
        sockets: listening sockets that it made; empty when the daemon has to make its own.
        managed: whether there is one at all.
        watchdog_seconds: it ends this process when it hears nothing for so long; None when it does not care.
        environment: what the next program of this process has to be given.
    """

    def __init__(self, environment: dict[str, str], sockets: tuple[socket.socket, ...]) -> None:
        self.environment = {name: environment[name] for name in _OF_THE_NOTICES if name in environment}
        self.sockets = sockets
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.managed = bool(self._address or sockets)
        self.watchdog_seconds: float | None = None
        if environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            microseconds = environment.get("WATCHDOG_USEC", "")
            self.watchdog_seconds = int(microseconds) / 1e6 if microseconds.isdigit() else None

    @classmethod
    def of(cls, environ: MutableMapping[str, str]) -> "Supervisor":
        """The supervisor that `environ` tells of; takes its variables out."""
        said = {name: environ.pop(name) for name in (*_OF_THE_SOCKETS, *_OF_THE_NOTICES) if name in environ}
        return cls(said, _sockets_of(said) or activated_sockets())

    def inherited(self) -> Inherited | None:
        """Its sockets as an endpoint takes them; None without any."""
        if not self.sockets:
            return None
        return Inherited(self.sockets, identity_of(self.path or ""), managed=True)

    @property
    def path(self) -> str | None:
        """The name of its first socket."""
        name = self.sockets[0].getsockname() if self.sockets else ""
        return name if isinstance(name, str) and name.startswith("/") else None

    def ready(self) -> None:
        self.notify("READY=1")

    def reloading(self) -> None:
        self.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self.notify("STOPPING=1")

    def alive(self) -> None:
        self.notify("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self.notify(f"STATUS={text}")

    def notify(self, *lines: str) -> None:
        """Tell it something; without one there is nobody to tell, and one that does not listen loses it."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0)) as sock:
            try:
                sock.sendto("\n".join(lines).encode(), address)
            except OSError as error:
                logger.warning("the service manager cannot be told", extra={"errno": error.errno, "lines": lines})


def _sockets_of(said: dict[str, str]) -> tuple[socket.socket, ...]:
    """The listening Unix sockets among the descriptors that were passed; all of them stay with this process only."""
    count = said.get("LISTEN_FDS", "")
    if said.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit():
        return ()
    sockets = []
    for fd in range(_FIRST_FD, _FIRST_FD + int(count)):
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
        if sock.family == socket.AF_UNIX and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.setblocking(False)
            sockets.append(sock)
        else:
            # Somebody else's, such as a page for metrics in a drop-in: not ours to serve, and not ours to close.
            sock.detach()
    return tuple(sockets)
