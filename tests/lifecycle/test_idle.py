"""A daemon that nobody needs leaves, and no client is lost by that."""

import os
import socket
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import trio
from tests.lifecycle.daemon_machine import Machine, wait_for_end
from tests.lifecycle.echo_daemon import EchoDispatcher

from meerkatd.lifecycle.departure import Departure
from meerkatd.lifecycle.endpoint import Endpoint
from meerkatd.lifecycle.idle import Idleness
from meerkatd.lifecycle.serving import serve_until_left
from meerkatd.listener.unix import UnixListener
from meerkatd.settings import DEFAULT_IDLE_SECONDS, parse_settings


class Idler:
    """A served endpoint of this process, which leaves after ten idle seconds of a clock that jumps."""

    def __init__(self, machine: Machine) -> None:
        self.endpoint = Endpoint(machine.places)
        self.departure = Departure(deadline=1)
        self.listener = UnixListener(EchoDispatcher())
        self.busy = False
        self.rests = 0
        self.ready = trio.Event()
        self.ended = trio.Event()

    async def run(self) -> None:
        def rest() -> None:
            self.rests += 1

        await serve_until_left(
            self.endpoint,
            self.listener,
            departure=self.departure,
            ready=self.ready.set,
            drained=trio.lowlevel.checkpoint,
            idleness=Idleness(10, busy=lambda: self.busy, rest=rest),
        )
        self.ended.set()


@pytest.fixture
async def idler(machine: Machine, nursery: trio.Nursery) -> Idler:
    idler = Idler(machine)
    nursery.start_soon(idler.run)
    await idler.ready.wait()
    return idler


async def test_a_daemon_that_nobody_needs_leaves_and_takes_its_name_along(
    autojump_clock: Any, idler: Idler, machine: Machine
) -> None:
    with trio.fail_after(12):
        await idler.ended.wait()
    assert idler.departure.reason == "idle"
    assert idler.rests == 1
    assert os.listdir(machine.places.runtime_dir) == []


async def test_a_connection_keeps_it_there_and_the_time_counts_from_its_end(
    autojump_clock: Any, idler: Idler, machine: Machine
) -> None:
    async with await trio.open_unix_socket(machine.places.socket_path):
        await trio.sleep(4)
        assert idler.listener.connections == 1
        # The greeting has a deadline of its own; whoever says nothing for so long is no client.
    await trio.sleep(9)
    assert not idler.departure.asked
    with trio.fail_after(4):
        await idler.ended.wait()


async def test_work_without_a_connection_keeps_it_there(autojump_clock: Any, idler: Idler) -> None:
    idler.busy = True
    await trio.sleep(100)
    assert not idler.departure.asked
    idler.busy = False
    with trio.fail_after(12):
        await idler.ended.wait()


async def test_who_connected_before_the_name_was_set_aside_keeps_it_there(
    autojump_clock: Any, idler: Idler, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of the two steps: the client is in the queue while the name goes."""
    set_aside = idler.endpoint.set_aside
    late = socket.socket(socket.AF_UNIX)

    def connect_first() -> None:
        late.connect(machine.places.socket_path)
        set_aside()
        assert not os.path.exists(machine.places.socket_path)

    monkeypatch.setattr(idler.endpoint, "set_aside", connect_first)
    await trio.sleep(11)
    assert not idler.departure.asked
    assert idler.endpoint.is_ours()
    late.close()


def test_the_idle_time_comes_from_the_command_line_the_environment_or_the_house(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert parse_settings([]).idle_seconds == DEFAULT_IDLE_SECONDS
    monkeypatch.setenv("MEERKAT_IDLE_SECONDS", "60")
    assert (parse_settings([]).idle_seconds, parse_settings([]).idle_chosen) == (60, False)
    given = parse_settings(["--idle-seconds", "0"])
    assert (given.idle_seconds, given.idle_chosen) == (0, True)
    monkeypatch.setenv("MEERKAT_IDLE_SECONDS", "soon")
    assert parse_settings([]).idle_seconds == DEFAULT_IDLE_SECONDS


def connects(machine: Machine, monkeypatch: pytest.MonkeyPatch, count: int) -> set[int]:
    """Clients one after another, at every distance from the moment at which the daemon leaves; the daemons' pids."""
    monkeypatch.setenv("MEERKAT_IDLE_SECONDS", "0.05")
    pids = set()
    for number in range(count):
        with machine.client() as client:
            pids.add(client.call("pid"))
        # The pause is what is being tested: around the idle time, in steps of a millisecond.
        time.sleep(0.035 + number % 40 / 1000)
    for process in machine.daemons():
        wait_for_end(process)
    return pids


def test_no_client_is_lost_around_idle_ends(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(connects(machine, monkeypatch, 20)) > 1


@pytest.mark.long
def test_five_hundred_clients_around_idle_ends(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(connects(machine, monkeypatch, 500)) > 20


def test_an_idle_daemon_ends_by_itself_and_leaves_no_record(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEERKAT_IDLE_SECONDS", "0.05")
    with machine.client():
        daemon = psutil.Process(machine.pid())
    wait_for_end(daemon)
    assert Path(machine.places.lock_path).read_text() == ""
