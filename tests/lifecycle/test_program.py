"""The real program: its arguments, its exit statuses, and one whole life."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tests.lifecycle.daemon_machine import Machine, wait_for_end
from tests.support.daemon_process import running_daemon
from tests.support.gated_model import Gate, GatedModel

from meerkat_client import _dial
from meerkat_client._sync import BlockingClient
from meerkat_client.errors import RkatError
from meerkat_client.wire.codes import TABLE
from meerkat_client.wire.paths import PRIVATE, open_directory, places
from meerkat_client.wire.version import VERSION
from meerkatd.settings import DEFAULT_DRAIN_SECONDS, parse_settings


def run(machine: Machine, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "meerkatd", *arguments]
    return subprocess.run(command, env=machine.environ, capture_output=True, text=True, timeout=30, check=False)


def test_the_program_tells_its_version(machine: Machine) -> None:
    assert run(machine, "--version").stdout == f"meerkatd {VERSION}\n"


def test_an_unknown_argument_is_a_usage_error(machine: Machine) -> None:
    assert run(machine, "--frobnicate").returncode == 2


def test_settings_come_from_the_arguments(machine: Machine) -> None:
    settings = parse_settings(["--state-root", machine.state_root, "--ready-fd", "7", "--log-stderr"])
    assert settings.state_root == machine.state_root
    assert settings.socket_path == places(machine.state_root).socket_path
    assert (settings.ready_fd, settings.foreground, settings.drain_seconds) == (7, True, DEFAULT_DRAIN_SECONDS)


def test_the_runtime_directory_of_the_client_wins(machine: Machine) -> None:
    """Client and daemon may see different environments; the one who connects has to find the socket."""
    elsewhere = str(machine.base / "elsewhere")
    assert parse_settings(["--runtime-dir", elsewhere]).runtime_dir == elsewhere


@pytest.mark.parametrize("value", ["-1", "1e9", "nan", "soon"])
def test_a_drain_time_out_of_range_is_a_usage_error(value: str) -> None:
    with pytest.raises(SystemExit):
        parse_settings(["--drain-seconds", value])


def test_a_directory_that_is_open_to_others_ends_the_program_with_the_tables_status(machine: Machine) -> None:
    directory = Path(machine.places.runtime_dir)
    directory.mkdir(parents=True)
    directory.chmod(0o777)
    done = run(machine, "--state-root", machine.state_root)
    assert done.returncode == TABLE["PERMISSION_DENIED"].exit
    assert str(directory) in done.stderr
    assert "chmod" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_whole_life_from_the_first_client_to_sigterm(machine: Machine) -> None:
    with BlockingClient.connect(name="test", state_root=machine.state_root, isolated=True) as client:
        daemon = psutil.Process(machine.pid())
        assert client.info["pid"] == daemon.pid
        with BlockingClient.connect(name="test", state_root=machine.state_root, start=False, isolated=True) as other:
            assert other.info["realm_id"] != client.info["realm_id"]
    daemon.send_signal(signal.SIGTERM)
    wait_for_end(daemon)
    assert not Path(machine.places.socket_path).exists()
    assert Path(machine.places.stderr_path).read_text() == ""
    assert Path(machine.places.log_path).stat().st_mode & 0o777 == 0o600


def test_a_socket_that_cannot_be_bound_is_told_to_the_client_that_waits(machine: Machine) -> None:
    """The reason comes with its code, and not as the last words of a process that died."""
    os.close(open_directory(machine.places.runtime_dir, refuse=PRIVATE))
    os.makedirs(f"{machine.places.socket_path}/in the way")
    with pytest.raises(RkatError) as caught:
        _dial.connect(state_root=machine.state_root)
    assert caught.value.code == "STORAGE_ERROR"
    assert "md.sock" in caught.value.message
    assert "Traceback" not in Path(machine.places.stderr_path).read_text()


def test_a_second_sigterm_interrupts_the_turn_and_tells_its_caller() -> None:
    gate = Gate()
    with (
        GatedModel() as model,
        running_daemon() as daemon,
        daemon.client(isolated=True, credentials={"openai": {"api_key": "sk", "base_url": model.url}}) as client,
    ):
        model.answers("half ", gate, "never")
        turn = client.begin("session/create", {"prompt": "go", "model": "openai/gpt-test"})
        gate.wait_until_reached()
        process = psutil.Process(daemon.pid)
        process.send_signal(signal.SIGTERM)
        while os.path.exists(daemon.socket_path):
            pass
        process.send_signal(signal.SIGTERM)
        with pytest.raises(RkatError) as caught:
            client.wait(turn, timeout=10)
        assert caught.value.code == "REQUEST_CANCELLED"
        wait_for_end(process)


def test_the_daemon_of_a_socket_has_no_more_open_than_it_needs(machine: Machine) -> None:
    sock = _dial.connect(state_root=machine.state_root)
    daemon = psutil.Process(machine.pid())
    try:
        targets = [os.readlink(f"/proc/{daemon.pid}/fd/{fd}") for fd in (0, 1, 2)] if sys.platform == "linux" else []
        assert targets in ([], ["/dev/null", machine.places.stderr_path, machine.places.stderr_path])
    finally:
        sock.close()
        daemon.send_signal(signal.SIGTERM)
        wait_for_end(daemon)
