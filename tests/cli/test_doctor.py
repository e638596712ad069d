"""`rkat doctor` names each of the faults planted here, at its place, with the right mend, and changes nothing."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.cli.conftest import Shell

Finding = dict[str, Any]


class Expected(NamedTuple):
    check: str
    level: str
    message: str
    mend: str
    code: str | None = None


def examine(shell: Shell, *arguments: str) -> list[Finding]:
    """All findings; the exit status says whether one of them is an error."""
    done = shell.run("--json", "doctor", *arguments)
    document = json.loads(done.stdout)
    errors = sum(finding["level"] == "error" for finding in document["findings"])
    assert document["errors"] == errors
    assert done.returncode == (1 if errors else 0), done.stderr
    found: list[Finding] = document["findings"]
    return found


def bad(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding["level"] != "ok"]


def check_told(findings: list[Finding], expected: Expected) -> Finding:
    matching = [finding for finding in bad(findings) if finding["check"] == expected.check]
    assert len(matching) == 1, f"{expected} in {bad(findings)}"
    found = matching[0]
    assert found["level"] == expected.level
    assert expected.message in found["message"]
    assert expected.mend in found["mend"]
    assert found.get("code") == expected.code
    return found


def runtime_of(shell: Shell) -> Path:
    """The runtime directory of a daemon that was started just now."""
    shell.json("daemon", "start")
    return next((shell.root / "run").rglob("md.sock")).parent


def make_realm(shell: Shell, realm_id: str = "team") -> Path:
    shell.json("realms", "create", realm_id)
    folders = list((shell.root / "state" / "realms").glob(f"{realm_id}-*"))
    assert len(folders) == 1
    return folders[0]


def test_a_machine_in_order_has_nothing_but_good_findings(shell: Shell) -> None:
    make_realm(shell)
    findings = examine(shell)
    assert bad(findings) == []
    assert {"program", "state_root", "runtime_dir", "socket", "lock", "daemon", "disk.space", "realm.manifest"} <= {
        finding["check"] for finding in findings
    }


def test_it_starts_nothing_when_it_is_told_so(shell: Shell) -> None:
    """And says that nothing runs, which is nothing wrong."""
    findings = examine(shell, "--no-start")
    assert bad(findings) == []
    assert shell.daemon_pid is None
    assert not (shell.root / "state").exists()


def test_people_read_each_fault_with_its_mend_below(shell: Shell) -> None:
    runtime_of(shell).chmod(0o755)
    done = shell.run("doctor")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    place = next(index for index, line in enumerate(lines) if line.startswith("✗ runtime_dir"))
    assert lines[place + 1].strip().startswith("→ `chmod 0700 ")
    assert "wrong" in done.stderr


def _stale_socket(shell: Shell) -> Expected:
    pid = shell.json("daemon", "start")["pid"]
    os.kill(pid, signal.SIGKILL)
    return Expected("socket", "warning", "nobody listens", "rkat daemon start")


def _open_runtime_directory(shell: Shell) -> Expected:
    runtime_of(shell).chmod(0o755)
    return Expected("runtime_dir", "error", "mode 0755", "chmod 0700", "PERMISSION_DENIED")


def _open_state_root(shell: Shell) -> Expected:
    (shell.root / "state").mkdir()
    (shell.root / "state").chmod(0o777)
    return Expected("state_root", "error", "mode 0777", "chmod 0755", "PERMISSION_DENIED")


def _state_root_is_a_file(shell: Shell) -> Expected:
    (shell.root / "state").write_text("not a folder")
    return Expected("state_root", "error", "is not a directory of yours", "Move ", "PERMISSION_DENIED")


def _open_socket(shell: Shell) -> Expected:
    (runtime_of(shell) / "md.sock").chmod(0o666)
    return Expected("socket", "warning", "mode 0666", "chmod 600")


def _no_socket(shell: Shell) -> Expected:
    runtime = runtime_of(shell)
    shell.json("daemon", "stop")
    (runtime / "md.sock").write_text("a file")
    return Expected("socket", "error", "is no socket", "Move it away", "DAEMON_UNAVAILABLE")


def _deleted_lock(shell: Shell) -> Expected:
    shell.json("daemon", "start")
    (shell.root / "state" / "meerkatd.lock").unlink()
    return Expected("lock", "error", "was deleted while the daemon", "rkat daemon restart", "DAEMON_UNAVAILABLE")


def _truncated_manifest(shell: Shell) -> Expected:
    manifest = make_realm(shell) / "realm_manifest.json"
    manifest.write_text(manifest.read_text()[:20])
    return Expected("realm.manifest", "error", "is not a JSON object", "Restore the realm from a copy", "REALM_DAMAGED")


def _missing_manifest(shell: Shell) -> Expected:
    (make_realm(shell) / "realm_manifest.json").unlink()
    return Expected("realm.manifest", "error", "has no realm_manifest.json", "from a copy", "REALM_DAMAGED")


def _newer_realm(shell: Shell) -> Expected:
    manifest = make_realm(shell) / "realm_manifest.json"
    fields = json.loads(manifest.read_text()) | {"manifest_format": 99, "written_by": "7.5.0"}
    manifest.write_text(json.dumps(fields))
    return Expected("realm.manifest", "error", "meerkatd 7.5.0", "Upgrade meerkatd", "REALM_TOO_NEW")


def _renamed_folder(shell: Shell) -> Expected:
    folder = make_realm(shell)
    folder.rename(folder.with_name("team-00000000"))
    return Expected(
        "realm.manifest", "error", "is not the folder of the realm 'team'", "Rename it to team-", "REALM_DAMAGED"
    )


def _broken_config(shell: Shell) -> Expected:
    (make_realm(shell) / "config.toml").write_text("[agent\nmodel = 3")
    return Expected("realm.config", "error", "config.toml", "Mend the file there", "CONFIG_INVALID")


def _missing_key(shell: Shell) -> Expected:
    del shell.env["OPENAI_API_KEY"], shell.env["OPENAI_BASE_URL"]
    return Expected(
        "model.default", "error", "no provider has a key", "Set a provider's key", "PROVIDER_NOT_CONFIGURED"
    )


def _provider_that_is_not_there(shell: Shell) -> Expected:
    # Port 9 is the discard service's, which nothing here serves.
    shell.env["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
    return Expected("provider.reach", "error", "cannot be reached", "Check the network, the base URL", "PROVIDER_ERROR")


def _keys_for_everybody(shell: Shell) -> Expected:
    config = shell.root / "user.toml"
    config.write_text('[providers.api_keys]\nanthropic = "sk-secret"\n')
    config.chmod(0o644)
    shell.env["MEERKAT_USER_CONFIG"] = str(config)
    del shell.env["OPENAI_API_KEY"], shell.env["OPENAI_BASE_URL"]
    return Expected("user_config", "warning", "other users can read it", "chmod 600")


def _damaged_store(shell: Shell) -> Expected:
    shell.run("--realm", "team", "run", "-m", "openai/gpt-x", "Hello")
    shell.json("daemon", "stop")
    (folder,) = (shell.root / "state" / "realms").glob("team-*")
    database = folder / "sessions.sqlite3"
    content = bytearray(database.read_bytes())
    for page in range(4096 * 4, len(content), 4096):
        content[page : page + 4096] = bytes(4096)
    database.write_bytes(content)
    return Expected("realm.store", "error", "damaged", "Restore the realm from a copy", "REALM_DAMAGED")


def _unit_files(shell: Shell, *, program: str) -> None:
    """As `rkat daemon install` writes them, with a `systemctl` that says what the test wants."""
    folder = shell.root / "home" / ".config" / "systemd" / "user"
    folder.mkdir(parents=True)
    runtime = runtime_of(shell)
    shell.json("daemon", "stop")
    (folder / "meerkatd.socket").write_text(f"[Socket]\nListenStream={runtime}/md.sock\n")
    (folder / "meerkatd.service").write_text(f"[Service]\nExecStart={program} -m meerkatd\n")


def _systemctl(shell: Shell, active: str, enabled: str = "enabled") -> None:
    tools = shell.root / "bin"
    tools.mkdir()
    script = tools / "systemctl"
    script.write_text(f"#!/bin/sh\necho ActiveState={active}\necho UnitFileState={enabled}\n")
    script.chmod(0o755)
    shell.env["PATH"] = f"{tools}:{shell.env['PATH']}"


def _dead_unit(shell: Shell) -> Expected:
    _unit_files(shell, program=sys.executable)
    _systemctl(shell, "failed")
    return Expected(
        "service", "error", "socket and process failed", "systemctl --user reset-failed", "DAEMON_UNAVAILABLE"
    )


def _unit_of_a_program_that_is_gone(shell: Shell) -> Expected:
    _unit_files(shell, program="/nonexistent/python")
    _systemctl(shell, "active")
    return Expected("service", "error", "a program that is not there", "rkat daemon install", "DAEMON_UNAVAILABLE")


def _unit_that_is_not_enabled(shell: Shell) -> Expected:
    _unit_files(shell, program=sys.executable)
    _systemctl(shell, "active", "disabled")
    return Expected("service", "warning", "is disabled", "rkat daemon install")


@pytest.mark.parametrize(
    ("plant", "arguments"),
    [
        (_stale_socket, ("--no-start",)),
        (_open_runtime_directory, ()),
        (_open_state_root, ()),
        (_state_root_is_a_file, ()),
        (_open_socket, ()),
        (_no_socket, ("--no-start",)),
        (_deleted_lock, ()),
        (_truncated_manifest, ()),
        (_missing_manifest, ()),
        (_newer_realm, ()),
        (_renamed_folder, ()),
        (_broken_config, ()),
        (_damaged_store, ()),
        (_dead_unit, ("--no-start",)),
        (_unit_of_a_program_that_is_gone, ("--no-start",)),
        (_unit_that_is_not_enabled, ("--no-start",)),
        (_missing_key, ()),
        (_provider_that_is_not_there, ()),
        (_keys_for_everybody, ("--no-start",)),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_planted_fault_is_named_with_its_mend(
    shell: Shell, plant: Callable[[Shell], Expected], arguments: tuple[str, ...]
) -> None:
    expected = plant(shell)
    findings = examine(shell, *arguments)
    found = check_told(findings, expected)
    assert "sk-" not in json.dumps(findings)
    assert found["subject"]


def test_a_lock_that_a_stranger_holds_is_named_with_the_process_to_end(shell: Shell) -> None:
    """The daemon cannot start then, and the start alone would only say that another one owns the state root."""
    (shell.root / "state").mkdir(mode=0o700)
    lock = shell.root / "state" / "meerkatd.lock"
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        findings = examine(shell, "--no-start")
    expected = Expected("lock", "error", f"held by pid {os.getpid()}", f"kill {os.getpid()}", "DAEMON_UNAVAILABLE")
    check_told(findings, expected)


def test_a_daemon_that_starts_in_safe_mode_after_crashes_is_told_with_the_way_out(shell: Shell) -> None:
    """Only below a service manager, which would start it again for ever."""
    state = shell.root / "state"
    state.mkdir(mode=0o700)
    now = time.time()
    (state / "crashes.json").write_text(json.dumps({"crashes": [now - each for each in (5, 4, 3, 2, 1)]}))
    reading, writing = os.pipe()
    managed = shell.env | {"NOTIFY_SOCKET": str(shell.root / "notify")}
    command = [sys.executable, "-m", "meerkatd", "--ready-fd", str(writing)]
    with subprocess.Popen(command, env=managed, pass_fds=[writing]) as daemon:
        os.close(writing)
        assert os.read(reading, 64) == b"READY\n"
        os.close(reading)
        findings = examine(shell)
        daemon.terminate()
    expected = Expected("daemon", "error", "safe mode", "rkat daemon restart", "DAEMON_UNAVAILABLE")
    check_told(findings, expected)


def test_a_daemon_of_another_version_is_told_with_the_way_to_replace_it(shell: Shell) -> None:
    shell.json("daemon", "start")
    newer = (
        "import sys, meerkat_client.wire.version as version\nversion.VERSION = '9.9.9'\n"
        "from rkat.__main__ import main\nsys.argv = ['rkat', '--json', 'doctor']\nsys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", newer], env=shell.env, cwd=shell.cwd, capture_output=True, timeout=60, check=False
    )
    findings = json.loads(done.stdout)["findings"]
    check_told(findings, Expected("version", "warning", "9.9.9", "rkat daemon restart"))


class _Refusing(BaseHTTPRequestHandler):
    """A provider that takes no key."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Says nothing."""


def test_a_key_that_its_provider_refuses_is_told_without_the_key(shell: Shell) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        shell.env["OPENAI_BASE_URL"] = f"http://127.0.0.1:{server.server_port}/v1"
        findings = examine(shell)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    check_told(findings, Expected("provider.reach", "error", "refuses the key", "Check the key", "PROVIDER_ERROR"))
    assert "sk-of-the-test" not in json.dumps(findings)
