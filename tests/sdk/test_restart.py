"""A daemon that restarts in place, and one that is stopped: what clients notice of it, which is nothing, or enough."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from anyio import to_thread
from tests.lifecycle.daemon_machine import wait_for_end
from tests.sdk.conftest import House
from tests.sdk.flavours import MODEL, World, raised, run
from tests.support.daemon_process import DaemonProcess, running_daemon
from tests.support.gated_model import GatedModel

from meerkat_client import BlockingClient, RunCompleted, TextDelta, TurnInterruptedError
from meerkat_client._dial import daemon_record
from meerkat_client.errors import RkatError

# Each of these starts a daemon of its own, so one flavour stands for both kinds of event loop.
EVERY = pytest.mark.parametrize("flavour", ["trio", "blocking"])
# A quiet machine takes less than half a second; this one may be shared by many tests.
STALL_SECONDS = 20.0


class Mortal:
    """A daemon of the test's own, which it may restart and stop."""

    def __init__(self, daemon: DaemonProcess, model: GatedModel) -> None:
        self.daemon = daemon
        self.model = model
        self.house = House(daemon, model)

    def world(self, flavour: str) -> World:
        return World(flavour, self.model, self.house.options())

    def restart(self, **params: Any) -> None:
        """Restart it in place, and wait until the next program answers."""
        with self.client() as client:
            before = client.call("daemon/status")["restarts"]
            client.call("daemon/restart", params)
            until = time.monotonic() + STALL_SECONDS
            while client.call("daemon/status")["restarts"] == before:
                assert time.monotonic() < until, "it does not restart"

    def client(self) -> BlockingClient:
        options = self.house.options()
        return self.daemon.client(realm_id="hammered", credentials=options["credentials"])


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mortal]:
    with running_daemon() as daemon, GatedModel() as model:
        monkeypatch.setenv("MEERKAT_RUNTIME_DIR", daemon.runtime_dir)
        yield Mortal(daemon, model)


@contextmanager
def hammering(work: Callable[[int], None], clients: int) -> Iterator[list[float]]:
    """`work` again and again in as many threads; how long each time took, in the end."""
    over = threading.Event()
    times: list[float] = []
    failures: list[BaseException] = []

    def hammer(number: int) -> None:
        try:
            while not over.is_set():
                began = time.monotonic()
                work(number)
                times.append(time.monotonic() - began)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=hammer, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield times
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert failures == []


def restarts_under_load(mortal: Mortal, count: int) -> list[float]:
    """Restart that often while four clients run turns; the times of the turns."""
    pid = mortal.daemon.pid
    clients = [mortal.client() for _ in range(4)]
    sessions = [client.call("session/create", {"prompt": "hi", "model": MODEL})["session_id"] for client in clients]
    turns = [0] * len(clients)

    def turn(number: int) -> None:
        result = clients[number].call("turn/start", {"session_id": sessions[number], "prompt": "again"})
        assert result["text"] == "ok"
        turns[number] += 1

    with hammering(turn, len(clients)) as times:
        for _ in range(count):
            done = len(times)
            mortal.restart()
            while len(times) < done + 4:
                time.sleep(0.01)
    with mortal.client() as client:
        status = client.call("daemon/status")
        assert (status["restarts"], status["process"]["pid"]) == (count, pid)
        for number, session_id in enumerate(sessions):
            # A prompt and an answer for each turn: none was lost, and none ran twice.
            assert client.call("session/read", {"session_id": session_id})["message_count"] == 2 * (turns[number] + 1)
    for each in clients:
        each.close()
    return times


def test_restarts_under_load_cost_no_client_an_error_and_no_turn(mortal: Mortal) -> None:
    assert max(restarts_under_load(mortal, 2)) < STALL_SECONDS


@pytest.mark.long
def test_ten_restarts_under_load_cost_no_client_an_error_and_no_turn(mortal: Mortal) -> None:
    assert max(restarts_under_load(mortal, 10)) < STALL_SECONDS


@EVERY
def test_a_client_goes_on_over_a_restart_with_requests_of_every_kind(flavour: str, mortal: Mortal) -> None:
    """Also those that must not be repeated: what the daemon had not begun it has not done."""
    world = mortal.world(flavour)

    async def body() -> None:
        async with world.client() as client:
            session = await world.create(client)
            seen: list[Any] = []
            async with await session.subscribe_events() as events:
                await to_thread.run_sync(mortal.restart)
                assert (await client.call("session/label", {"session_id": session.id, "labels": {"a": "b"}}))["labels"]
                assert (await session.turn("again")).text == "ok"
                with anyio.fail_after(STALL_SECONDS):
                    async for envelope in events:
                        seen.append(envelope)
                        if isinstance(envelope.payload, RunCompleted):
                            break
            # Numbers go up and none comes twice.
            assert [each.seq for each in seen] == sorted({each.seq for each in seen})
            assert (await session.read()).message_count == 4

    run(flavour, body)


@EVERY
def test_a_turn_that_outlives_the_deadline_is_told_as_interrupted_and_kept(flavour: str, mortal: Mortal) -> None:
    world = mortal.world(flavour)

    async def body() -> None:
        async with world.client() as client:
            session = await world.create(client)
            async with world.running(lambda: session.turn("go"), "half ") as running:
                await to_thread.run_sync(lambda: mortal.restart(deadline_seconds=0.2))
                await running.ended.wait()
            assert isinstance(running.error, TurnInterruptedError)
            history = await session.history()
            assert "half" in str(history.messages[-1]) or "half" in str(history.messages[-2])
            assert (await session.turn("again")).text == "ok"

    run(flavour, body)


@EVERY
def test_a_turn_that_ends_in_time_is_not_touched_and_new_ones_wait_for_the_next_program(
    flavour: str, mortal: Mortal
) -> None:
    world = mortal.world(flavour)

    async def body() -> None:
        async with world.client() as client, world.client() as other, world.client() as reader:
            first, second = await world.create(client), await world.create(other)
            async with anyio.create_task_group() as tasks:
                results: list[str] = []

                async def late() -> None:
                    results.append((await second.turn("late")).text)

                async with world.running(lambda: first.turn("go"), "all ") as running:
                    with mortal.client() as asking:
                        asking.call("daemon/restart", {})
                    tasks.start_soon(late)
                    # Reads go on while the last turns end.
                    assert (await reader.session(second.id).read()).message_count == 2
                    assert results == []
                    running.gate.open()
                    await running.ended.wait()
            assert running.result.text == "all end"
            assert results == ["ok"]

    run(flavour, body)


@EVERY
def test_a_mere_subscription_does_not_start_the_daemon_that_somebody_stopped(flavour: str, mortal: Mortal) -> None:
    world = mortal.world(flavour)

    async def body() -> None:
        async with world.client(start=True) as client:
            session = await world.create(client)
            seen = anyio.Event()

            async def follow() -> None:
                async with await session.subscribe_events() as events:
                    subscribed.set()
                    async for envelope in events:
                        if isinstance(envelope.payload, TextDelta):
                            seen.set()
                            return

            subscribed = anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(follow)
                await subscribed.wait()
                process = psutil.Process(mortal.daemon.pid)
                with mortal.client() as other:
                    other.call("daemon/stop", {})
                await to_thread.run_sync(wait_for_end, process)
                await anyio.sleep(0.5)
                assert not await anyio.Path(mortal.daemon.socket_path).exists()
                # Somebody asks: now there is one again, and the events go on.
                assert (await session.turn("again")).text == "ok"
                with anyio.move_on_after(8):
                    await seen.wait()
                if not seen.is_set():
                    await session.turn("once more")
                with anyio.fail_after(STALL_SECONDS):
                    await seen.wait()
        record = daemon_record(mortal.daemon.state_root)
        assert record is not None
        started = psutil.Process(record["pid"])
        started.terminate()
        await to_thread.run_sync(wait_for_end, started)

    run(flavour, body)


def test_an_older_program_and_a_broken_one_do_not_replace_the_daemon(mortal: Mortal, tmp_path: Path) -> None:
    for text, code in (("echo meerkatd 0.0.9", "VERSION_MISMATCH"), ("exit 1", "INVALID_PARAMS")):
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        with mortal.client() as client:
            with pytest.raises(RkatError) as caught:
                client.call("daemon/restart", {"program": str(program)})
            assert caught.value.code == code
            status = client.call("daemon/status")
            assert (status["state"], status["restarts"]) == ("running", 0)


@EVERY
def test_an_error_after_a_restart_is_the_daemons_own(flavour: str, mortal: Mortal) -> None:
    world = mortal.world(flavour)

    async def body() -> None:
        async with world.client() as client:
            await to_thread.run_sync(mortal.restart)
            error = await raised(RkatError, client.session("00000000").read())
            assert error.code in ("SESSION_NOT_FOUND", "INVALID_PARAMS")

    run(flavour, body)
