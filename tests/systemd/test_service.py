"""The daemon under a real systemd: `pytest -m systemd`, as root on a machine that has it."""

import json

import pytest
from tests.systemd.user_manager import UserManager

from meerkatd.lifecycle.crashes import LIMIT

pytestmark = pytest.mark.systemd

SERVICE = "meerkatd.service"
SOCKET = "meerkatd.socket"
CRASHES = 3
IDLE_ENDS = 12
ASK = "rkat --isolated sessions list"


def drop_in(manager: UserManager, text: str) -> None:
    folder = f".config/systemd/user/{SERVICE}.d"
    manager.ok(f"mkdir -p ~/{folder}")
    (manager.home / folder / "test.conf").write_text(f"[Service]\n{text}\n")
    manager.ok("systemctl --user daemon-reload")


def status(manager: UserManager) -> dict:
    return json.loads(manager.ok("rkat --json daemon status"))


def test_nothing_is_installed_without_a_yes(manager: UserManager) -> None:
    said = manager.ok("rkat daemon install --dry-run")
    assert "enable meerkatd.socket" in said
    assert manager.run("rkat daemon install").status != 0
    assert manager.ok("find ~ -type f") == ""


def test_installing_twice_is_installing_once(installed: UserManager) -> None:
    assert "already installed" in installed.ok("rkat daemon install --yes")
    assert installed.show(SOCKET, "ActiveState") == "active"
    assert installed.show(SOCKET, "UnitFileState") == "enabled"


def test_systemd_has_nothing_to_say_about_the_installed_units(installed: UserManager) -> None:
    """It answers 0 also for unknown keys, so silence is what counts."""
    assert installed.ok(f"cd ~/.config/systemd/user; systemd-analyze --user verify ./{SOCKET} ./{SERVICE}") == ""


def test_the_first_client_activates_the_daemon_and_looking_does_not(installed: UserManager) -> None:
    assert installed.run("rkat daemon status").status == 3
    assert installed.show(SERVICE, "ActiveState") == "inactive"
    installed.ok(ASK)
    # Type=notify: it is active because the daemon has said that it is ready.
    assert installed.show(SERVICE, "ActiveState") == "active"
    assert installed.show(SERVICE, "StatusText") == "serving"
    found = status(installed)
    assert found["managed"]
    assert str(found["process"]["pid"]) == installed.show(SERVICE, "MainPID")
    assert found["service"]["process"] == "active"


def test_a_turn_runs_under_the_hardening(installed: UserManager) -> None:
    assert "ok" in installed.ok("rkat --isolated run -m openai/gpt-test hello")


def test_no_client_starts_a_daemon_of_its_own_beside_the_service(installed: UserManager) -> None:
    """Also when the socket was stopped: then the unit is started."""
    installed.ok(f"systemctl --user stop {SOCKET}")
    installed.ok(ASK)
    assert status(installed)["managed"]
    assert installed.show(SOCKET, "ActiveState") == "active"


def test_a_deleted_socket_of_the_manager_is_made_again(installed: UserManager) -> None:
    installed.ok("rm $XDG_RUNTIME_DIR/meerkat/*/md.sock")
    installed.ok(ASK)
    assert status(installed)["managed"]


def test_a_manager_that_does_not_answer_is_told_and_nothing_else_is_started(installed: UserManager) -> None:
    installed.ok(f"systemctl --user stop {SOCKET}")
    installed.ok("mkdir -p ~/bin; printf '#!/bin/sh\\necho no bus >&2; exit 1\\n' > ~/bin/systemctl; chmod +x ~/bin/*")
    said = installed.run(f"PATH=~/bin:$PATH {ASK}")
    assert said.status == 70
    assert "no bus" in said.text
    assert "enable-linger" in said.text
    assert installed.show(SERVICE, "ActiveState") == "inactive"
    installed.ok(f"rm -r ~/bin; systemctl --user start {SOCKET}")


def test_a_daemon_that_crashes_is_there_again(installed: UserManager) -> None:
    installed.ok(ASK)
    for _ in range(CRASHES):
        before = installed.show(SERVICE, "MainPID")
        installed.ok(f"kill -9 {before}")
        installed.ok(ASK)
        installed.wait_for(SERVICE, "ActiveState", "active")
        assert installed.show(SERVICE, "MainPID") not in (before, "0")
    assert installed.show(SOCKET, "ActiveState") == "active"


def test_a_daemon_that_hangs_is_ended_by_the_watchdog_and_started_again(installed: UserManager) -> None:
    drop_in(installed, "WatchdogSec=2\nTimeoutAbortSec=1")
    installed.ok(ASK)
    before = installed.show(SERVICE, "MainPID")
    installed.ok(f"kill -STOP {before}")
    installed.wait_for(SERVICE, "NRestarts", "1")
    installed.ok(ASK)
    assert installed.show(SERVICE, "MainPID") not in (before, "0")


def test_a_daemon_that_is_well_is_left_alone_by_the_watchdog(installed: UserManager) -> None:
    drop_in(installed, "WatchdogSec=2")
    installed.ok(ASK)
    before = installed.show(SERVICE, "MainPID")
    installed.ok("sleep 5")
    assert (installed.show(SERVICE, "MainPID"), installed.show(SERVICE, "NRestarts")) == (before, "0")


def test_a_restart_is_no_end_for_the_manager(installed: UserManager) -> None:
    installed.ok(ASK)
    before = installed.show(SERVICE, "MainPID")
    for number in (1, 2, 3):
        assert "restarted" in installed.ok("rkat daemon restart")
        assert status(installed)["restarts"] == number
    installed.wait_for(SERVICE, "ActiveState", "active")
    assert (installed.show(SERVICE, "MainPID"), installed.show(SERVICE, "NRestarts")) == (before, "0")


def test_idle_ends_cost_no_client_anything(installed: UserManager) -> None:
    """With systemd's default start limit the sixth one would take the socket away for good."""
    command = installed.show(SERVICE, "ExecStart").partition("argv[]=")[2].partition(" ;")[0]
    drop_in(installed, f"ExecStart=\nExecStart={command} --idle-seconds 0.2")
    for _ in range(IDLE_ENDS):
        installed.ok(ASK)
        installed.wait_for(SERVICE, "ActiveState", "inactive")
    assert installed.show(SERVICE, "Result") == "success"
    assert installed.show(SOCKET, "ActiveState") == "active"


def test_a_crash_loop_ends_in_safe_mode_and_a_restart_leaves_it(installed: UserManager) -> None:
    installed.ok(ASK)
    for _ in range(LIMIT):
        installed.ok(f"kill -9 {installed.show(SERVICE, 'MainPID')}")
        installed.wait_for(SERVICE, "SubState", "running")
    said = installed.run("rkat --json --isolated sessions list")
    assert said.status == 70
    assert '"safe_mode": true' in said.text
    assert "safe mode" in installed.ok("rkat daemon status")
    installed.ok("rkat daemon restart")
    installed.ok(ASK)
    assert not status(installed)["safe_mode"]


def test_a_sandbox_is_installed_where_it_works_and_nowhere_else(installed: UserManager) -> None:
    done = installed.run("rkat daemon install --sandbox --yes")
    if done.status != 0:
        assert "CAPABILITY_UNAVAILABLE" in done.text
        assert installed.run(f"ls ~/.config/systemd/user/{SERVICE}.d/sandbox.conf").status != 0
        return
    installed.ok(ASK)
    pid = status(installed)["process"]["pid"]
    mounts = installed.ok(f"cat /proc/{pid}/mountinfo")
    assert any(line.split()[4] == "/" and line.split()[5].startswith("ro") for line in mounts.splitlines())
    installed.ok("rkat daemon install --yes")


def test_uninstalling_leaves_nothing_and_the_next_command_starts_a_daemon_as_before(installed: UserManager) -> None:
    installed.ok(ASK)
    assert "uninstalled" in installed.ok("rkat daemon uninstall --yes")
    assert "was not installed" in installed.ok("rkat daemon uninstall --yes")
    assert installed.ok("find ~/.config -type f 2> /dev/null || true") == ""
    assert installed.show(SERVICE, "LoadState") == "not-found"
    installed.ok(ASK)
    assert not status(installed)["managed"]
    installed.ok("rkat daemon stop")


def test_installing_takes_over_from_a_daemon_that_runs(manager: UserManager) -> None:
    manager.ok(ASK)
    assert not status(manager)["managed"]
    assert "stop the daemon" in manager.ok("rkat daemon install --yes")
    manager.ok(ASK)
    assert status(manager)["managed"]
    manager.ok("rkat daemon uninstall --yes")
