"""The service files: well-formed, and saying what the daemon understands. tests/systemd runs them for real."""

import configparser
import os
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meerkat_client.wire.limits import BACKLOG
from meerkat_client.wire.paths import places
from meerkatd.lifecycle.launchd import SOCKET_NAME
from meerkatd.settings import DEFAULT_DRAIN_SECONDS, parse_settings
from rkat.service.launchd import Launchd
from rkat.service.systemd import Systemd

ROOT = Path(__file__).resolve().parents[2]
SERVICE = ROOT / "systemd" / "meerkatd.service"
SOCKET = ROOT / "systemd" / "meerkatd.socket"
SANDBOX = ROOT / "systemd" / "sandbox.conf"
AGENT = ROOT / "launchd" / "dev.meerkatd.plist"

# Keys of launchd.plist(5) that we mean to use, with the types that it demands. It ignores what it does not know.
PLIST: dict[str, Any] = {
    "Label": str,
    "ProgramArguments": [str],
    "Sockets": {SOCKET_NAME: {"SockFamily": str, "SockType": str, "SockPathName": str, "SockPathMode": int}},
    "RunAtLoad": bool,
    "KeepAlive": {"SuccessfulExit": bool},
    "ThrottleInterval": int,
    "ExitTimeOut": int,
    "ProcessType": str,
    "Umask": int,
    "SoftResourceLimits": {"NumberOfFiles": int},
    "StandardErrorPath": str,
    "EnvironmentVariables": None,
}


def unit(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser


def misfits(value: Any, shape: Any, path: str = "") -> list[str]:
    """Where a plist is not what launchd reads."""
    if shape is None:
        return [f"{path}.{key}" for key, text in value.items() if type(text) is not str]
    if isinstance(shape, list):
        return [path] if not all(type(item) is shape[0] for item in value) else []
    if not isinstance(shape, dict):
        return [] if type(value) is shape else [path]
    unknown = [f"{path}.{key}" for key in value.keys() - shape.keys()]
    return unknown + [each for key in value.keys() & shape.keys() for each in misfits(value[key], shape[key], key)]


def test_both_start_the_daemon_with_arguments_that_it_takes():
    command = unit(SERVICE.read_text())["Service"]["ExecStart"].split()
    agent = plistlib.loads(AGENT.read_bytes())["ProgramArguments"]
    for program, *arguments in (command, agent):
        assert program.endswith("/meerkatd")
        parse_settings(arguments)


def test_both_give_the_daemon_time_to_drain_and_restart_it_after_a_crash_only():
    service, agent = unit(SERVICE.read_text()), plistlib.loads(AGENT.read_bytes())
    assert int(service["Service"]["TimeoutStopSec"]) > DEFAULT_DRAIN_SECONDS < agent["ExitTimeOut"]
    assert service["Service"]["Restart"] == "on-failure"
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert service["Unit"]["StartLimitIntervalSec"] == "0"


def test_files_and_sockets_that_they_make_are_the_users_own():
    assert unit(SERVICE.read_text())["Service"]["UMask"] == "0077"
    socket = unit(SOCKET.read_text())["Socket"]
    assert (socket["SocketMode"], socket["DirectoryMode"], socket["Backlog"]) == ("0600", "0700", str(BACKLOG))
    agent = plistlib.loads(AGENT.read_bytes())
    assert agent["Umask"] == 0o077
    assert agent["Sockets"][SOCKET_NAME]["SockPathMode"] == 0o600


def test_nothing_in_the_unit_stops_programs_that_compile_at_run_time():
    """Node, and the local model: both die under MemoryDenyWriteExecute. Browsers and containers need namespaces."""
    keys = set(unit(SERVICE.read_text())["Service"])
    assert keys.isdisjoint({"MemoryDenyWriteExecute", "RestrictNamespaces", "ProtectHome", "ProtectSystem"})
    assert unit(SERVICE.read_text())["Service"]["SystemCallErrorNumber"] == "EPERM"


def made(home: Path) -> tuple[Systemd, Launchd]:
    """What is installed from a shell with unpleasant names."""
    environ = {
        "HOME": str(home),
        "PATH": "/opt/my tools/bin:/usr/bin",
        "HTTPS_PROXY": "http://u:50%25@proxy:3128",
        "LANG": "C.UTF-8",
        "ANTHROPIC_API_KEY": "canary",
    }
    where = places(str(home / "state"), runtime_dir=str(home / "run 100%"), environ=environ)
    return Systemd(where, environ), Launchd(where, environ)


def test_the_installed_units_name_this_program_these_places_and_no_key(tmp_path: Path):
    systemd, launchd = made(tmp_path)
    service, socket = systemd._service_unit(), systemd._socket_unit()
    assert sys.executable in service
    assert f'"{tmp_path}/run 100%%"' in service
    assert f"ListenStream={tmp_path}/run 100%%/md.sock" in socket
    assert 'Environment="PATH=/opt/my tools/bin:/usr/bin"' in service
    assert "Environment=HTTPS_PROXY=http://u:50%%25@proxy:3128" in service
    plist = plistlib.loads(launchd.plist().encode())
    assert plist["Sockets"][SOCKET_NAME]["SockPathName"] == f"{tmp_path}/run 100%/md.sock"
    assert plist["EnvironmentVariables"]["PATH"] == "/opt/my tools/bin:/usr/bin"
    assert "canary" not in service + socket + launchd.plist()


@pytest.mark.parametrize("which", ["shipped", "installed"])
def test_launchd_would_read_every_key_of_the_plist(which: str, tmp_path: Path):
    raw = AGENT.read_bytes() if which == "shipped" else made(tmp_path)[1].plist().encode()
    plist = plistlib.loads(raw)
    assert misfits(plist, PLIST) == []
    assert plistlib.loads(plistlib.dumps(plist)) == plist


@pytest.mark.parametrize("which", ["shipped", "installed"])
def test_systemd_has_nothing_to_say_about_the_units(which: str, tmp_path: Path):
    """systemd-analyze answers 0 also for unknown keys, so silence is what counts."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        # Not a Linux with systemd: the sections are checked against those that we mean to use.
        assert unit(SERVICE.read_text()).sections() == ["Unit", "Service", "Install"]
        return
    service, socket = SERVICE.read_text().replace("%h/.local/bin/meerkatd", sys.executable), SOCKET.read_text()
    if which == "installed":
        systemd, _ = made(tmp_path)
        service, socket = systemd._service_unit(), systemd._socket_unit()
    copies = (tmp_path / SERVICE.name, tmp_path / SOCKET.name)
    for copy, text in zip(copies, (service, socket), strict=True):
        copy.write_text(text)
    folder = tmp_path / f"{SERVICE.name}.d"
    folder.mkdir()
    (folder / SANDBOX.name).write_text(SANDBOX.read_text())
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    done = subprocess.run(
        [analyze, "--user", "verify", *(f"./{copy.name}" for copy in copies)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
