"""What a service manager says to the daemon, and what the daemon says to it."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.lifecycle.daemon_machine import Machine

from meerkatd.lifecycle.crashes import LIMIT, WINDOW_SECONDS, CrashLog
from meerkatd.lifecycle.endpoint import Endpoint
from meerkatd.lifecycle.launchd import SOCKET_NAME, sockets_of_library
from meerkatd.lifecycle.start import Start, begin
from meerkatd.lifecycle.succession import command_of, numbers, take_hand_over
from meerkatd.lifecycle.supervisor import Supervisor
from meerkatd.lifecycle.watchdog import feed_watchdog
from meerkatd.settings import LEAST_IDLE_SECONDS_MANAGED, Settings


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[socket.socket]:
    """The end of a notice."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        yield sock


def test_a_notice_is_one_datagram_and_its_address_is_nobody_elses(ear: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": ear.getsockname(), "HOME": "/"}
    supervisor = Supervisor.of(environ)
    assert environ == {"HOME": "/"}
    assert supervisor.managed
    supervisor.ready()
    assert ear.recv(100) == b"READY=1"
    supervisor.reloading()
    assert ear.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert supervisor.environment == {"NOTIFY_SOCKET": ear.getsockname()}


def test_an_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0meerkat-test-{os.getpid()}")
        sock.settimeout(5)
        Supervisor.of({"NOTIFY_SOCKET": f"@meerkat-test-{os.getpid()}"}).ready()
        assert sock.recv(100) == b"READY=1"


def test_a_manager_that_does_not_listen_ends_nothing(tmp_path: Path) -> None:
    Supervisor.of({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()


def test_without_a_manager_nobody_is_told_anything() -> None:
    supervisor = Supervisor.of({})
    assert not supervisor.managed
    assert supervisor.watchdog_seconds is None
    supervisor.ready()


@pytest.mark.parametrize(("pid", "seconds"), [("ours", 30.0), ("1", None), (None, 30.0)])
def test_the_watchdog_of_another_process_is_not_ours(pid: str | None, seconds: float | None) -> None:
    said = str(os.getpid()) if pid == "ours" else pid
    environ = {"WATCHDOG_USEC": "30000000"} | ({} if said is None else {"WATCHDOG_PID": said})
    assert Supervisor.of(environ).watchdog_seconds == seconds


async def test_the_watchdog_hears_nothing_while_a_store_hangs(
    autojump_clock: Any, ear: socket.socket, nursery: trio.Nursery
) -> None:
    supervisor = Supervisor.of({"NOTIFY_SOCKET": ear.getsockname(), "WATCHDOG_USEC": "10000000"})
    hangs = False

    async def prove() -> None:
        if hangs:
            await trio.sleep_forever()

    ear.setblocking(False)
    nursery.start_soon(feed_watchdog, supervisor, prove)
    await trio.sleep(12)
    assert [ear.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    hangs = True
    await trio.sleep(100)
    with pytest.raises(BlockingIOError):
        ear.recv(100)


PASSED = """
import os, socket, sys
from meerkatd.lifecycle.supervisor import Supervisor
os.environ["LISTEN_PID"] = str(os.getpid())
found = Supervisor.of(os.environ)
print(found.path, [os.get_inheritable(sock.fileno()) for sock in found.sockets], "LISTEN_FDS" in os.environ)
"""


def test_sockets_that_are_passed_are_taken_and_kept_to_oneself(tmp_path: Path) -> None:
    path = str(tmp_path / "md.sock")
    with socket.socket(socket.AF_UNIX) as listening, socket.socket() as other:
        listening.bind(path)
        listening.listen()

        def as_systemd() -> None:
            # The next free numbers are below; both stay open through exec.
            os.dup2(listening.fileno(), 3)
            os.dup2(other.fileno(), 4)

        done = subprocess.run(
            [sys.executable, "-c", PASSED],
            env={**os.environ, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "rpc:other"},
            preexec_fn=as_systemd,
            pass_fds=(3, 4),
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == f"{path} [False] False\n"


FAKE_LAUNCHD = """
#include <stdlib.h>
#include <string.h>
#include <errno.h>
int launch_activate_socket(const char *name, int **fds, size_t *count) {
    char *given = getenv("FAKE_FD");
    if (strcmp(name, "%s") != 0) return ENOENT;
    if (given == NULL) return ESRCH;
    *fds = malloc(sizeof(int));
    **fds = atoi(given);
    *count = 1;
    return 0;
}
"""


def test_sockets_of_launchd_come_by_the_function_of_its_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a library of the same ABI: the real one is on macOS only."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler is not None, "a C compiler is needed to know that the binding of launchd works"
    source, library = tmp_path / "launch.c", str(tmp_path / "launch.so")
    source.write_text(FAKE_LAUNCHD % SOCKET_NAME)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, str(source)], check=True)
    assert sockets_of_library(library) == ()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "md.sock"))
    listening.listen()
    fd = listening.detach()
    monkeypatch.setenv("FAKE_FD", str(fd))
    (sock,) = sockets_of_library(library)
    with sock:
        assert (sock.fileno(), sock.getsockname()) == (fd, str(tmp_path / "md.sock"))
        assert not os.get_inheritable(fd)
        assert sock.gettimeout() == 0


def test_a_system_without_launchd_has_no_sockets_of_it() -> None:
    assert sockets_of_library(None) == ()


def test_crashes_are_counted_within_a_minute_and_forgotten_after_an_end_in_order(tmp_path: Path) -> None:
    crashes = CrashLog(str(tmp_path))
    assert crashes.times() == []
    for number in range(LIMIT):
        assert not crashes.is_looping(100.0 + number)
        crashes.note(100.0 + number)
    assert crashes.is_looping(100.0 + LIMIT)
    assert not crashes.is_looping(100.0 + LIMIT + WINDOW_SECONDS)
    # A clock that was put back.
    assert not crashes.is_looping(50.0)
    assert os.stat(crashes.path).st_mode & 0o777 == 0o600
    crashes.clear()
    crashes.clear()
    assert crashes.times() == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"crashes": 3}', '{"crashes": ["x"]}'])
def test_a_file_of_crashes_that_cannot_be_read_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "crashes.json").write_text(text)
    assert CrashLog(str(tmp_path)).times() == []


async def test_a_start_after_a_kill_notes_the_crash_and_an_end_in_order_forgets_it(machine: Machine) -> None:
    settings = Settings(places=machine.places, foreground=True)
    crashes = CrashLog(machine.state_root)
    with await begin(settings, {}) as start:
        assert not crashes.times()
        # As a kill leaves it: the record stays.
        record = await trio.Path(machine.places.lock_path).read_text()
        start.ended_in_order()
    await trio.Path(machine.places.lock_path).write_text(record)
    with await begin(settings, {}) as start:
        assert len(crashes.times()) == 1
        assert not start.safe_mode
        start.ended_in_order()
    assert crashes.times() == []


async def test_only_under_a_manager_a_crash_loop_ends_in_safe_mode(machine: Machine, ear: socket.socket) -> None:
    """Elsewhere each start is somebody's own request, and its failure is told to them."""
    settings = Settings(places=machine.places, foreground=True)
    os.makedirs(machine.state_root, 0o700)
    for _ in range(LIMIT):
        CrashLog(machine.state_root).note()
    with await begin(settings, {}) as start:
        assert not start.safe_mode
    with await begin(settings, {"NOTIFY_SOCKET": ear.getsockname()}) as start:
        assert start.safe_mode


def test_under_a_manager_leaving_early_has_to_be_asked_for(machine: Machine, ear: socket.socket) -> None:
    def idle(environ: dict[str, str], **options: Any) -> float:
        settings = Settings(places=machine.places, **options)
        return Start(settings, endpoint=Endpoint(machine.places), supervisor=Supervisor.of(environ)).idle_seconds

    managed = {"NOTIFY_SOCKET": ear.getsockname()}
    assert idle({}, idle_seconds=60) == 60
    assert idle(dict(managed), idle_seconds=60) == LEAST_IDLE_SECONDS_MANAGED
    assert idle(dict(managed), idle_seconds=60, idle_chosen=True) == 60
    assert idle(dict(managed), idle_seconds=0) == 0


def test_what_is_handed_over_is_for_this_process_only() -> None:
    said = {"lock": [3, 4], "sockets": [5], "identity": [1, 2], "managed": False, "restarts": 1, "pid": os.getpid() + 1}
    environ = {"MEERKAT_HANDOVER": json.dumps(said)}
    assert take_hand_over(environ) is None
    assert environ == {}


def test_the_next_program_is_run_as_the_last_one_was(machine: Machine) -> None:
    where = machine.places
    arguments = ["--ready-fd", "7", "--state-root", "/old", "--runtime-dir=/old", "--detach", "--drain-seconds", "3"]
    places = ["--state-root", where.state_root, "--runtime-dir", where.runtime_dir]
    expected = ["/p", "-P", "-m", "meerkatd", "--drain-seconds", "3", *places]
    assert command_of("/p", arguments, where) == expected
    assert command_of("/p", expected[4:], where) == expected


@pytest.mark.parametrize(
    ("version", "expected"), [("0.1.0", (0, 1, 0)), ("1.10.0rc1", (1, 10, 0)), ("2", (2,)), ("x", ())]
)
def test_versions_are_compared_by_number(version: str, expected: tuple[int, ...]) -> None:
    assert numbers(version) == expected
