"""Whether the daemon is installed as a service, and how its manager is asked to start it.

A client that started a daemon of its own beside an installed one would give that one's socket to a process which the
manager knows nothing of, without the service's environment and limits. So what counts is whether a service is installed
for this socket, and not whether it runs: then the manager starts it, or nobody does.
"""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from .errors import RkatError
from .wire.paths import Places

SOCKET_UNIT = "meerkatd.socket"
SERVICE_UNIT = "meerkatd.service"
LABEL = "dev.meerkatd"
# The manager answers within milliseconds; on a machine that has just started, everything takes longer.
_COMMAND_SECONDS = 20.0


class Service(NamedTuple):
    """An installed service.

    Attributes:
        path: the file that says so: the socket unit, or the plist.
    """

    kind: Literal["systemd", "launchd"]
    path: str


def unit_folders(environ: Mapping[str, str]) -> list[str]:
    """Where systemd looks for units of users; the first is the user's own."""
    home = environ.get("HOME", "")
    config = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    data = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    return [f"{folder}/systemd/user" for folder in (config, "/etc", data, "/usr/local/lib", "/usr/lib")]


def agent_folder(environ: Mapping[str, str]) -> str:
    """Where launchd looks for agents of users."""
    return f"{environ.get('HOME', '')}/Library/LaunchAgents"


def installed(where: Places, environ: Mapping[str, str] | None = None) -> Service | None:
    """The service that owns the socket of these places; None when there is none."""
    env = os.environ if environ is None else environ
    for folder in unit_folders(env):
        path = f"{folder}/{SOCKET_UNIT}"
        text = _text(path)
        if text is not None and where.socket_path in _listening(text, env):
            return Service("systemd", path)
    path = f"{agent_folder(env)}/{LABEL}.plist"
    text = _text(path)
    if text is not None and f"<string>{_escaped(where.socket_path)}</string>" in text:
        return Service("launchd", path)
    return None


def start(service: Service, where: Places, until: float) -> None:
    """Have the manager listen on the socket, as `installed` found it.

    Args:
        until: by time.monotonic().

    Raises:
        RkatError: DAEMON_UNAVAILABLE, when the manager cannot be reached or refuses.
    """
    if service.kind == "launchd":
        _ask(service, ("launchctl", "kickstart", f"gui/{os.geteuid()}/{LABEL}"), until)
        return
    _ask(service, ("systemctl", "--user", "start", SOCKET_UNIT), until)
    if not os.path.exists(where.socket_path) and not _succeeds(("systemctl", "--user", "is-active", SERVICE_UNIT)):
        # It takes its socket for good, and somebody has deleted the name; with no daemon behind it nobody is harmed.
        _ask(service, ("systemctl", "--user", "restart", SOCKET_UNIT), until)


def manager_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for `systemctl --user`, which finds its manager below XDG_RUNTIME_DIR; cron does not set that."""
    session = f"/run/user/{os.geteuid()}"
    missing = "XDG_RUNTIME_DIR" not in environ and os.path.isdir(session)
    return {**environ, "XDG_RUNTIME_DIR": session} if missing else dict(environ)


def _ask(service: Service, command: Sequence[str], until: float) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=manager_environment(os.environ),
            timeout=max(1.0, min(_COMMAND_SECONDS, until - time.monotonic())),
            check=False,
        )
        said = done.stderr.decode("utf-8", "replace").strip() if done.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    if said is not None:
        raise RkatError(
            "DAEMON_UNAVAILABLE",
            f"The daemon is installed as a service of {service.kind}, which does not start it: {said or 'no reason'}.",
            hint="Without a login session `loginctl enable-linger` keeps your services running; "
            "`rkat daemon uninstall` goes back to a daemon that the first command starts.",
            details={"service": service.kind, "path": service.path, "command": list(command)},
        )


def _succeeds(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=manager_environment(os.environ),
            timeout=_COMMAND_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _listening(unit: str, environ: Mapping[str, str]) -> list[str]:
    """The paths that a socket unit listens on."""
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    lines = (line.partition("=") for line in unit.splitlines())
    paths = (value.strip() for name, _, value in lines if name == "ListenStream")
    return [os.path.realpath(path.replace("%t", runtime).replace("%%", "%")) for path in paths]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None
