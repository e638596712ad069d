"""The service, if the daemon is installed as one: its files, the program that they name, what its manager says."""

import os
import shlex
from collections.abc import Iterator

from meerkat_client._service import SERVICE_UNIT, SOCKET_UNIT, Service, installed
from meerkat_client.wire.paths import places

from ..options import Options
from ..service.plan import read
from ..service.service import service_state
from .finding import Finding, warning, well, wrong

_INSTALL = "Write and enable it again: rkat daemon install"


def unit(options: Options) -> Iterator[Finding]:
    """Findings about the service; none where the first command starts the daemon."""
    service = installed(places(options.state_root))
    if service is None:
        return
    if service.kind == "systemd":
        problem = _files(service)
        if problem is not None:
            yield wrong("service", *problem, code="DAEMON_UNAVAILABLE", mend=_INSTALL)
            return
    yield _state(service, service_state(options))


def _files(service: Service) -> tuple[str, str] | None:
    """What is wrong with the unit of the process, as subject and message."""
    path = os.path.join(os.path.dirname(service.path), SERVICE_UNIT)
    text = read(path)
    if text is None:
        return path, "is missing, while its socket's unit is there: nothing can be started"
    program = _program(text)
    if program is None or not os.access(program, os.X_OK):
        return path, f"names a program that is not there: {program}"
    return None


def _program(text: str) -> str | None:
    lines = [line.partition("=")[2] for line in text.splitlines() if line.startswith("ExecStart=")]
    words = shlex.split(lines[-1]) if lines else []
    return words[0] if words else None


def _state(service: Service, state: dict[str, str]) -> Finding:
    subject = service.path
    if "problem" in state:
        return wrong(
            "service",
            subject,
            f"its manager cannot be asked: {state['problem']}",
            code="DAEMON_UNAVAILABLE",
            mend="Log in with a session of your own, or: loginctl enable-linger",
        )
    failed = [name for name in ("socket", "process") if state.get(name) == "failed"]
    if failed:
        return wrong(
            "service",
            subject,
            f"its {' and '.join(failed)} failed",
            code="DAEMON_UNAVAILABLE",
            mend=f"systemctl --user reset-failed {SOCKET_UNIT} {SERVICE_UNIT}; systemctl --user restart {SOCKET_UNIT}",
        )
    if state.get("socket", "active") not in ("active", "listening"):
        return wrong(
            "service",
            subject,
            f"its socket is {state['socket']}",
            code="DAEMON_UNAVAILABLE",
            mend=f"systemctl --user start {SOCKET_UNIT}",
        )
    if state.get("enabled", "enabled") != "enabled":
        return warning("service", subject, f"is {state['enabled']}, so it does not start at login", mend=_INSTALL)
    return well("service", subject, f"installed, process {state.get('process', 'unknown')}")
