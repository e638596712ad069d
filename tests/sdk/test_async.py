"""What only the asynchronous client has: tasks, cancellation, and the structure of scopes around it."""

import anyio
import pytest
from tests.sdk.flavours import World, played, raised, said
from tests.support.gated_model import Gate

from meerkat_client import DaemonError, SessionBusyError
from meerkat_client._async.link import TAKE_BACK_SECONDS

BOTH = ("asyncio", "trio")


@played(*BOTH)
async def test_a_cancelled_turn_is_interrupted_and_its_session_is_free(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        gate = Gate()
        world.model.answers("half", gate)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.turn, "go")
            await said(client, session.id, "half")
            tasks.cancel_scope.cancel()
        details = await session.read()
        assert (details.is_active, details.last_turn["state"]) == (False, "interrupted")
        assert (await session.turn("next")).text == "ok"
        gate.open()


@played(*BOTH)
async def test_many_tasks_share_one_client_beyond_what_a_connection_may_have_in_flight(world: World) -> None:
    """The daemon refuses more than 32 requests at a time; the client holds the rest back by itself."""
    async with world.client() as client:
        sessions: list[str] = []

        async def make() -> None:
            sessions.append((await world.create(client)).id)

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(make)
                tasks.start_soon(client.list_sessions)
        assert {row.session_id for row in await client.list_sessions()} == set(sessions)
        assert len(set(sessions)) == 50


@played(*BOTH)
async def test_short_requests_get_through_while_turns_take_all_that_they_may(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        gates = [Gate() for _ in range(24)]
        for gate in gates:
            world.model.answers(gate, "x")
        async with anyio.create_task_group() as tasks:
            for _ in gates:
                tasks.start_soon(world.create, client)
            for gate in gates:
                await anyio.to_thread.run_sync(gate.wait_until_reached)
            assert len(await client.list_sessions()) == 25
            await raised(Exception, session.interrupt())
            for gate in gates:
                gate.open()


@played(*BOTH)
async def test_an_exception_leaves_the_client_as_it_was_raised(world: World) -> None:
    with pytest.raises(ZeroDivisionError):
        async with world.client():
            _ = 1 / 0


@played(*BOTH)
async def test_a_cancelled_program_leaves_the_client_at_once(world: World) -> None:
    before = anyio.current_time()
    with anyio.move_on_after(0.01) as scope:
        async with world.client() as client, await (await world.create(client)).subscribe_events() as events:
            await events.__anext__()
    assert scope.cancelled_caught
    assert anyio.current_time() < before + TAKE_BACK_SECONDS


@played(*BOTH)
async def test_closing_fails_what_other_tasks_wait_for_and_may_be_done_anywhere(world: World) -> None:
    errors = []

    async def wait(work) -> None:
        errors.append(await raised(DaemonError, work()))

    async with world.client() as client:
        session = await world.create(client)
        gate = Gate()
        world.model.answers(gate)
        events = await session.subscribe_events()

        async def read() -> None:
            async for _ in events:
                pass

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, lambda: session.turn("go"))
            tasks.start_soon(wait, read)
            await anyio.to_thread.run_sync(gate.wait_until_reached)
            await client.close()
            await client.close()
        gate.open()
        assert [error.code for error in errors] == ["DAEMON_UNAVAILABLE"] * 2
        assert not (await raised(DaemonError, client.list_sessions())).retryable


@played(*BOTH)
async def test_a_client_can_be_connected_and_closed_by_hand_and_again(world: World) -> None:
    client = world.client()
    for _ in range(2):
        await client.connect()
        assert await client.list_sessions() == []
        await client.close()


@played(*BOTH)
async def test_connecting_can_be_cancelled(world: World) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await world.client().connect()
    assert scope.cancelled_caught
    async with world.client() as client:
        assert await client.list_sessions() == []


@played(*BOTH)
async def test_a_slow_reader_of_a_stream_holds_up_nobody(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        world.model.answers(*("x" * 2000 for _ in range(500)))
        async with session.stream("go") as stream:
            first = await stream.__anext__()
            for _ in range(20):
                assert len(await client.list_sessions()) == 1
            other = await world.create(client)
            assert other.text == "ok"
            result = await stream.collect()
        assert first.seq < result.cursor
        assert len(result.text) == 1_000_000


@played(*BOTH)
async def test_two_tasks_cannot_run_two_turns_of_one_session(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        async with world.running(lambda: session.turn("go")):
            await raised(SessionBusyError, session.turn("me too"))
