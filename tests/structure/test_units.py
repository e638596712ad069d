"""The service files: well-formed, and saying what the daemon understands."""

import configparser
import os
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from meerkatd.settings import DEFAULT_DRAIN_SECONDS, parse_settings

ROOT = Path(__file__).resolve().parents[2]
SERVICE = ROOT / "systemd" / "meerkatd.service"
AGENT = ROOT / "launchd" / "dev.meerkatd.plist"


def service() -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(SERVICE.read_text())
    return unit


def test_both_start_the_daemon_in_the_foreground_with_arguments_that_it_takes():
    command = service()["Service"]["ExecStart"].split()
    agent = plistlib.loads(AGENT.read_bytes())["ProgramArguments"]
    for program, *arguments in (command, agent):
        assert program.endswith("/meerkatd")
        assert parse_settings(arguments).foreground is True


def test_both_give_the_daemon_time_to_drain_and_restart_it_after_a_crash_only():
    unit, agent = service(), plistlib.loads(AGENT.read_bytes())
    assert int(unit["Service"]["TimeoutStopSec"]) > DEFAULT_DRAIN_SECONDS < agent["ExitTimeOut"]
    assert unit["Service"]["Restart"] == "on-failure"
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_files_that_they_make_are_the_users_own():
    assert service()["Service"]["UMask"] == "0077"
    assert plistlib.loads(AGENT.read_bytes())["Umask"] == 0o077


@pytest.mark.parametrize("unit", [SERVICE], ids=["service"])
def test_systemd_has_nothing_to_say_about_the_unit(unit: Path, tmp_path: Path):
    """systemd-analyze answers 0 also for unknown keys, so silence is what counts."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        # Not a Linux with systemd: the keys are checked against the ones that we mean to use.
        assert set(service()["Unit"]) == {"Description", "StartLimitIntervalSec"}
        return
    copy = tmp_path / unit.name
    program = Path(sys.executable)
    copy.write_text(unit.read_text().replace("%h/.local/bin/meerkatd", str(program)))
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    done = subprocess.run(
        [analyze, "--user", "verify", str(copy)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
