"""How a daemon ends, and what of its surroundings it keeps an eye on."""

import json
import os
import signal
import stat
from pathlib import Path
from typing import Any

import psutil
import pytest
import trio
from tests.lifecycle.daemon_machine import Machine, wait_for_end
from tests.lifecycle.echo_daemon import EchoDispatcher
from trio.testing import wait_all_tasks_blocked

from meerkat_client.errors import RkatError
from meerkatd.lifecycle import logs
from meerkatd.lifecycle.departure import Departure
from meerkatd.lifecycle.endpoint import CHECK_SECONDS, Endpoint
from meerkatd.lifecycle.lock import AlreadyRunning, InstanceLock, take_instance_lock
from meerkatd.lifecycle.serving import serve_until_left
from meerkatd.lifecycle.signals import watch_signals
from meerkatd.listener.unix import UnixListener


def test_sigterm_lets_running_work_finish_and_its_answer_out(machine: Machine) -> None:
    with machine.client() as client, machine.client() as other:
        held = client.begin("hold")
        assert next(client.events(timeout=10))[0] == "holding"
        daemon = psutil.Process(machine.pid())
        daemon.send_signal(signal.SIGTERM)
        while Path(machine.places.socket_path).exists():
            pass
        other.call("release")
        assert client.wait(held, timeout=10) == "released"
        wait_for_end(daemon)


def test_a_client_that_comes_while_a_daemon_drains_gets_the_next_one(machine: Machine) -> None:
    with machine.client() as client:
        held = client.begin("hold")
        next(client.events(timeout=10))
        daemon = psutil.Process(machine.pid())
        daemon.send_signal(signal.SIGTERM)
        while Path(machine.places.socket_path).exists():
            pass
        with pytest.raises(RkatError) as caught:
            machine.client(deadline=0.6)
        assert caught.value.code == "DAEMON_UNAVAILABLE"
        daemon.send_signal(signal.SIGTERM)
        with pytest.raises(RkatError) as caught:
            client.wait(held, timeout=10)
        assert caught.value.code == "REQUEST_CANCELLED"
    with machine.client() as fresh:
        assert fresh.call("pid") != daemon.pid


def test_an_idle_daemon_leaves_nothing_behind_on_sigint(machine: Machine) -> None:
    with machine.client():
        pass
    machine.kill(machine.pid(), signal.SIGINT)
    assert not Path(machine.places.socket_path).exists()
    assert Path(machine.places.lock_path).read_text() == ""


def test_sighup_does_nothing(machine: Machine) -> None:
    with machine.client() as client:
        os.kill(machine.pid(), signal.SIGHUP)
        assert client.call("pid") == machine.pid()


async def test_the_first_signal_drains_the_second_hurries_and_the_third_ends_at_once(nursery: trio.Nursery) -> None:
    departure, at_once = Departure(deadline=1), trio.Event()
    await nursery.start(watch_signals, departure, at_once.set)
    with trio.fail_after(5):
        os.kill(os.getpid(), signal.SIGTERM)
        await departure.wait()
        assert departure.reason == "stop"
        os.kill(os.getpid(), signal.SIGINT)
        await departure.hurried()
        assert not at_once.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        await at_once.wait()


def test_the_lock_is_free_again_when_it_is_closed(machine: Machine) -> None:
    with take_instance_lock(machine.places), pytest.raises(AlreadyRunning) as caught:
        take_instance_lock(machine.places)
    assert caught.value.owner["pid"] == os.getpid()
    take_instance_lock(machine.places).close()


def test_a_lock_file_that_is_a_symlink_is_refused(machine: Machine) -> None:
    Path(machine.state_root).mkdir(mode=0o700)
    Path(machine.places.lock_path).symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic links"):
        take_instance_lock(machine.places)


async def serve(machine: Machine, nursery: trio.Nursery, lock: InstanceLock | None = None) -> Departure:
    """A served endpoint in this process; what stops it."""
    departure, ready = Departure(deadline=1), trio.Event()

    async def run() -> None:
        dispatcher = EchoDispatcher()
        await serve_until_left(
            Endpoint(machine.places),
            UnixListener(dispatcher),
            departure=departure,
            ready=ready.set,
            drained=lambda: dispatcher.drained(departure),
            lock=lock,
        )

    nursery.start_soon(run)
    with trio.fail_after(5):
        await ready.wait()
    return departure


async def test_a_socket_whose_name_was_deleted_is_bound_again(
    autojump_clock: Any, machine: Machine, nursery: trio.Nursery
) -> None:
    """Cleaners of temporary files do this; without the check the daemon would never be found again."""
    departure = await serve(machine, nursery)
    os.unlink(machine.places.socket_path)
    os.rmdir(machine.places.runtime_dir)
    await trio.sleep(CHECK_SECONDS + 1)
    stream = await trio.open_unix_socket(machine.places.socket_path)
    await stream.aclose()
    departure.ask("stop")
    await wait_all_tasks_blocked()
    assert os.listdir(machine.places.runtime_dir) == []


def test_a_deleted_lock_file_does_not_make_room_for_a_second_daemon(machine: Machine) -> None:
    """The lock on the state root itself holds, from the first moment on."""
    with take_instance_lock(machine.places):
        os.unlink(machine.places.lock_path)
        with pytest.raises(AlreadyRunning):
            take_instance_lock(machine.places)
    take_instance_lock(machine.places).close()


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_lock_file_that_was_deleted_is_made_again_with_its_record(
    autojump_clock: Any, machine: Machine, nursery: trio.Nursery, replaced: bool
) -> None:
    """Clients with another runtime directory find the socket by it."""
    with take_instance_lock(machine.places) as lock:
        departure = await serve(machine, nursery, lock)
        os.unlink(machine.places.lock_path)
        if replaced:
            os.close(os.open(machine.places.lock_path, os.O_CREAT | os.O_EXCL, 0o600))
        await trio.sleep(CHECK_SECONDS + 1)
        assert lock.is_whole()
        assert machine.pid() == os.getpid()
        departure.ask("stop")
        await wait_all_tasks_blocked()
    record = await trio.to_thread.run_sync(Path(machine.places.lock_path).read_text)
    assert record == ""


def test_a_clean_end_and_a_kill_are_told_apart(machine: Machine) -> None:
    with take_instance_lock(machine.places) as lock:
        assert not lock.after_crash
    with machine.client():
        pass
    machine.kill(machine.pid())
    with take_instance_lock(machine.places) as lock:
        assert lock.after_crash


async def test_a_name_that_leads_to_another_socket_is_not_removed(machine: Machine, nursery: trio.Nursery) -> None:
    departure = await serve(machine, nursery)
    other = Endpoint(machine.places)
    listening = other.bind()
    departure.ask("stop")
    await wait_all_tasks_blocked()
    assert other.is_ours()
    other.remove()
    listening.close()


def test_no_temporary_name_stays_in_the_runtime_directory(machine: Machine) -> None:
    endpoint = Endpoint(machine.places)
    for _ in range(2):
        endpoint.bind().close()
    assert os.listdir(machine.places.runtime_dir) == ["md.sock"]
    assert stat.S_IMODE(os.stat(machine.places.socket_path).st_mode) == 0o600


@pytest.fixture
def restore_logging() -> Any:
    import logging

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.mark.usefixtures("restore_logging")
def test_a_log_line_cannot_be_forged_by_what_users_write(machine: Machine) -> None:
    """A plain formatter passes newlines, escape sequences and bidirectional overrides through."""
    import logging

    handler = logs.configure_logging(machine.places.log_path)
    evil = 'x\n{"level": "info"}\x1b[2J\u202e\ud800'
    logging.getLogger("test").warning("prompt %s", evil, extra={"surface": evil})
    handler.close()
    path = Path(machine.places.log_path)
    (line,) = path.read_bytes().splitlines()
    record = json.loads(line)
    assert (record["level"], record["surface"]) == ("warning", evil)
    assert line.isascii()
    assert b"\x1b" not in line
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.usefixtures("restore_logging")
def test_a_rotated_log_stays_private(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    import logging

    monkeypatch.setattr(logs, "ROTATE_BYTES", 200)
    handler = logs.configure_logging(machine.places.log_path)
    for number in range(50):
        logging.getLogger("test").warning("line %d", number)
    handler.close()
    files = list(Path(machine.places.log_path).parent.iterdir())
    assert len(files) == logs.KEPT_FILES + 1
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_journal_is_recognised_by_the_file_behind_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    found = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    assert logs.stderr_is_journal()
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino + 1}")
    assert not logs.stderr_is_journal()


def test_the_journal_gets_a_priority_and_no_time() -> None:
    import logging

    line = logs.Journal().format(logging.makeLogRecord({"msg": "a\nb", "levelno": logging.ERROR, "levelname": "ERROR"}))
    assert line.startswith('<3>{"level": "error"')
    assert "\n" not in line
    assert "time" not in json.loads(line[3:])
