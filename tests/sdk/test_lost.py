"""A connection that breaks, and a daemon that is killed, in the middle of what a client does."""

import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import psutil
import pytest
from anyio import to_thread
from tests.lifecycle.daemon_machine import wait_for_end
from tests.sdk.flavours import FLAVOURS, MODEL, World, raised, reached, run, said
from tests.sdk.relay import Relay
from tests.support.daemon_process import DaemonProcess, running_daemon
from tests.support.gated_model import Gate, GatedModel, ToolCall

from meerkat_client import (
    ConnectionLostError,
    RunCompleted,
    StreamTruncated,
    TextDelta,
    TurnInterruptedError,
    TurnLostError,
)
from meerkat_client._dial import daemon_record

EVERY = pytest.mark.parametrize("flavour", FLAVOURS)


class CutWorld(World):
    """A world whose connections go through a relay."""

    relay: Relay


@pytest.fixture
def cut_world(house: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], CutWorld]]:
    with (
        tempfile.TemporaryDirectory(prefix="md-") as folder,
        Relay(folder, state_root=house.daemon.state_root, target=house.daemon.socket_path) as relay,
    ):
        monkeypatch.setenv("MEERKAT_RUNTIME_DIR", relay.runtime_dir)

        def make(flavour: str) -> CutWorld:
            world = CutWorld(flavour, house.model, house.options())
            world.relay = relay
            return world

        yield make


@EVERY
def test_a_turn_whose_connection_breaks_still_gives_its_result_and_runs_once(flavour: str, cut_world: Any) -> None:
    world = cut_world(flavour)

    async def body() -> None:
        async with world.client() as client:
            session = await world.create(client)
            async with world.running(lambda: session.turn("go"), "and ") as running:
                world.relay.cut()
            assert running.result.text == "and end"
            assert len(world.model.requests) == 2
            assert (await session.read()).message_count == 4

    run(flavour, body)


@EVERY
def test_a_create_whose_connection_breaks_makes_one_session(flavour: str, cut_world: Any) -> None:
    world = cut_world(flavour)

    async def body() -> None:
        async with world.client() as client:
            async with world.running(lambda: world.create(client)) as running:
                world.relay.cut()
            assert running.result.text == "end"
            assert [row.session_id for row in await client.list_sessions()] == [running.result.id]
            assert len(world.model.requests) == 1

    run(flavour, body)


@EVERY
def test_a_stream_whose_connection_breaks_goes_on_after_its_last_event(flavour: str, cut_world: Any) -> None:
    """Each event comes once: the stream is opened again by its cursor, and what was seen is dropped by its number."""
    world = cut_world(flavour)

    async def body() -> None:
        async with world.client() as client, world.client() as other:
            session = await world.create(client)
            gates = {"a": Gate(), "b": Gate()}
            world.model.answers("a", gates["a"], "b", gates["b"], "c")
            heard = {"a": anyio.Event(), "b": anyio.Event()}
            seen = []

            async def read() -> None:
                async for event in stream:
                    seen.append(event)
                    if isinstance(event, TextDelta) and event.delta in heard:
                        heard[event.delta].set()

            async with session.stream("go") as stream, anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                for delta, gate in gates.items():
                    await heard[delta].wait()
                    world.relay.cut()
                    await followed(other)
                    gate.open()
            assert [event.delta for event in seen if isinstance(event, TextDelta)] == ["a", "b", "c"]
            assert [event.seq for event in seen] == list(range(seen[0].seq, seen[0].seq + len(seen)))
            assert isinstance(seen[-1], RunCompleted)
            assert stream.result.text == "abc"
            assert len(world.model.requests) == 2

    run(flavour, body)


async def followed(client: Any) -> None:
    """Wait until the daemon has somebody who follows a session."""
    while not (await client.call("daemon/status"))["event_streams"]:
        pass


@EVERY
def test_a_turn_that_ends_while_its_stream_is_broken_is_told_whole(flavour: str, cut_world: Any) -> None:
    world = cut_world(flavour)

    async def body() -> None:
        async with world.client() as client:
            session = await world.create(client)
            gate = Gate()
            world.model.answers("a", gate, "b")
            seen = []
            async with session.stream("go") as stream:
                async for event in stream:
                    seen.append(event)
                    if isinstance(event, TextDelta):
                        world.relay.cut()
                        gate.open()
            text = "".join(event.delta for event in seen if isinstance(event, TextDelta))
            assert text == "ab"
            assert stream.result.text == "ab"
            assert len(world.model.requests) == 2

    run(flavour, body)


@EVERY
def test_a_stream_that_creates_a_session_goes_on_with_that_session(flavour: str, cut_world: Any) -> None:
    world = cut_world(flavour)

    async def body() -> None:
        async with world.client() as client:
            gate = Gate()
            world.model.answers("a", gate, "b")
            async with client.create_session_streaming("go", model=MODEL) as stream:
                await reached(gate)
                world.relay.cut()
                async for event in stream:
                    if isinstance(event, TextDelta):
                        gate.open()
            assert stream.result.text == "ab"
            assert [row.session_id for row in await client.list_sessions()] == [stream.session_id]
            assert len(world.model.requests) == 1

    run(flavour, body)


@EVERY
def test_a_subscription_whose_connection_breaks_misses_nothing(flavour: str, cut_world: Any) -> None:
    world = cut_world(flavour)

    async def body() -> None:
        async with world.client() as one, world.client() as two:
            session = await world.create(one)
            async with await two.subscribe_session_events(session.id, cursor=0) as events:
                numbers = [(await events.__anext__()).seq]
                world.relay.cut()
                last = (await session.turn("more")).cursor
                while numbers[-1] < last:
                    numbers.append((await events.__anext__()).seq)
            assert numbers[-1] == last
            assert len(numbers) == len(set(numbers))

    run(flavour, body)


@EVERY
def test_a_request_that_must_not_be_repeated_tells_of_the_loss(flavour: str, cut_world: Any) -> None:
    world = cut_world(flavour)

    async def body() -> None:
        async with world.client() as client:
            session = await world.create(client)

            async def raw() -> Any:
                return await client.call("turn/start", {"session_id": session.id, "prompt": "raw"})

            async with world.running(raw) as running:
                world.relay.cut()
                await running.ended.wait()
            assert isinstance(running.error, ConnectionLostError)
            assert running.error.code == "DAEMON_UNAVAILABLE"

    run(flavour, body)


# A daemon that is killed


@contextmanager
def mortal(model: GatedModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[DaemonProcess, dict[str, Any]]]:
    """A daemon that a test kills, and options of clients who start another one; that one is ended too."""
    with running_daemon() as daemon:
        monkeypatch.setenv("MEERKAT_RUNTIME_DIR", daemon.runtime_dir)
        first = daemon.pid
        options = {
            "state_root": daemon.state_root,
            "name": "test",
            "realm_id": "r",
            "credentials": {"openai": {"api_key": "sk-test", "base_url": model.url}},
        }
        try:
            yield daemon, options
        finally:
            record = daemon_record(daemon.state_root)
            if record is not None and record["pid"] != first and psutil.pid_exists(record["pid"]):
                successor = psutil.Process(record["pid"])
                assert daemon.state_root in successor.cmdline()
                successor.terminate()
                wait_for_end(successor)


def killed(
    flavour: str,
    monkeypatch: pytest.MonkeyPatch,
    body: Callable[[World, Callable[[], Awaitable[None]]], Awaitable[None]],
) -> None:
    """Play a body that gets a world and the means to kill its daemon."""
    with GatedModel() as model, mortal(model, monkeypatch) as (daemon, options):

        async def kill() -> None:
            await to_thread.run_sync(daemon.kill)

        async def main() -> None:
            await body(World(flavour, model, options), kill)

        run(flavour, main)


@EVERY
def test_a_turn_whose_daemon_is_killed_is_told_as_lost_and_never_runs_again(
    flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(world: World, kill: Callable[[], Awaitable[None]]) -> None:
        async with world.client() as client:
            session = await world.create(client)
            async with world.running(lambda: session.turn("go"), "half") as running:
                await kill()
            assert isinstance(running.error, TurnLostError)
            assert (running.error.session_id, running.error.tool_calls) == (session.id, [])
            assert len(world.model.requests) == 2
            assert (await session.turn("again")).text == "ok"
            roles = [message.role for message in (await session.history()).messages]
            assert roles == ["user", "block_assistant", "user", "system_notice", "user", "block_assistant"]

    killed(flavour, monkeypatch, body)


@EVERY
def test_a_lost_turn_tells_what_became_of_its_tool_calls(flavour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(world: World, kill: Callable[[], Awaitable[None]]) -> None:
        calls = 0
        client = world.client()

        @client.tool("charge")
        async def charge(_: dict[str, Any]) -> str:
            nonlocal calls
            calls += 1
            await kill()
            return "charged"

        async with client:
            world.model.answers(ToolCall("charge", {"eur": 5}))
            error = await raised(TurnLostError, world.create(client))
            (call,) = error.tool_calls
            assert (call["name"], call["arguments"], call["fate"]) == ("charge", {"eur": 5}, "may_have_run")
            assert calls == 1
            assert [row.session_id for row in await client.list_sessions()] == [error.session_id]

    killed(flavour, monkeypatch, body)


@EVERY
def test_a_stream_whose_daemon_is_killed_tells_the_gap_and_then_the_loss(
    flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(world: World, kill: Callable[[], Awaitable[None]]) -> None:
        async with world.client() as client:
            session = await world.create(client)
            gate = Gate()
            world.model.answers("half", gate)
            seen = []

            async def read() -> None:
                async with session.stream("go") as stream:
                    async for event in stream:
                        seen.append(event)
                        if isinstance(event, TextDelta):
                            await kill()
                            gate.open()

            error = await raised(TurnLostError, read())
            assert error.session_id == session.id
            assert isinstance(seen[-1], StreamTruncated)
            assert len(world.model.requests) == 2

    killed(flavour, monkeypatch, body)


@EVERY
def test_a_subscription_and_the_list_live_through_the_death_of_the_daemon(
    flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(world: World, kill: Callable[[], Awaitable[None]]) -> None:
        async with world.client() as client:
            session = await world.create(client)
            async with await session.subscribe_events() as events:
                await kill()
                assert [row.session_id for row in await client.list_sessions()] == [session.id]
                result = await session.turn("more")
                async for envelope in events:
                    if isinstance(envelope.payload, RunCompleted):
                        break
                assert envelope.seq == result.cursor

    killed(flavour, monkeypatch, body)


def test_an_interrupt_is_not_asked_again_of_a_turn_that_somebody_else_began(cut_world: Any) -> None:
    """Without a turn's id a repeated interrupt could hit a turn that began meanwhile; with one it cannot."""
    world = cut_world("asyncio")

    async def body() -> None:
        async with world.client() as one, world.client() as two:
            session = await world.create(one)
            async with world.running(lambda: session.turn("go"), "half") as running:
                await said(two, session.id, "half")
                turn_id = (await session.read()).active_turn.turn_id
                assert (await session.interrupt(turn_id)).interrupted
            assert isinstance(running.error, TurnInterruptedError)

    run("asyncio", body)
