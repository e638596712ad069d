"""Streams of a turn and subscriptions to a session, through both clients."""

from typing import Any

import anyio
import pytest
from tests.sdk.flavours import MODEL, World, played, raised, reached, said
from tests.support.gated_model import Gate

from meerkat_client import (
    ProviderError,
    RequestError,
    RunCompleted,
    RunStarted,
    SessionBusyError,
    SessionNotFoundError,
    StaleCursorError,
    TextDelta,
    TurnInterruptedError,
)


@played()
async def test_a_stream_gives_typed_events_and_then_the_result(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        world.model.answers("a", "b")
        async with session.stream("go") as stream:
            events = [event async for event in stream]
        assert isinstance(events[0], RunStarted)
        assert events[0].prompt == "go"
        assert isinstance(events[-1], RunCompleted)
        assert [event.delta for event in events if isinstance(event, TextDelta)] == ["a", "b"]
        assert [event.seq for event in events] == sorted({event.seq for event in events})
        assert stream.result.text == session.text == "ab"
        assert stream.result.turn_id == stream.turn_id == events[0].run_id
        assert stream.cursor == stream.result.cursor


@played()
async def test_a_stream_has_no_result_before_its_end_and_starts_nothing_before_it_is_read(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        stream = session.stream("go")
        assert len(world.model.requests) == 1
        with pytest.raises(RequestError) as info:
            _ = stream.result
        assert info.value.code == "INVALID_REQUEST"
        assert (await stream.collect()).text == "ok"
        assert len(world.model.requests) == 2
        assert [event async for event in stream] == []


@played()
async def test_sessions_that_are_created_at_the_same_time_get_each_its_own_events(world: World) -> None:
    """Events name a session whose id its creator does not know yet; each stream has a connection of its own."""
    first, second = Gate(), Gate()
    async with world.client() as client:
        world.model.answers("one", first)
        one = client.create_session_streaming("same", model=MODEL)
        got: dict[str, Any] = {}

        async def read(name: str, stream: Any) -> None:
            got[name] = await stream.collect_text()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, "one", one)
            await reached(first)
            world.model.answers("two", second)
            two = client.create_session_streaming("same", model=MODEL)
            tasks.start_soon(read, "two", two)
            await reached(second)
            second.open()
            first.open()
        assert {name: text for name, (text, _) in got.items()} == {"one": "one", "two": "two"}
        assert one.session.id != two.session.id
        assert (await one.session.turn("more")).text == "ok"


@played()
async def test_a_failed_turn_ends_its_stream_with_the_error(world: World) -> None:
    world.model.answers(400)
    async with world.client() as client:
        stream = client.create_session_streaming("hello", model=MODEL)
        error = await raised(ProviderError, stream.collect())
        assert error.session_id == stream.session_id
        assert (await stream.session.turn("again")).text == "ok"


@played()
async def test_a_refused_stream_says_why(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        async with world.running(lambda: session.turn("go")):
            error = await raised(SessionBusyError, session.stream("me too").collect())
            assert error.client == "test"


@played()
async def test_leaving_a_stream_interrupts_its_turn_and_frees_the_session(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        gate = Gate()
        world.model.answers("half", gate)
        async with session.stream("go") as stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    break
        assert (await session.turn("next")).text == "ok"
        answer = (await session.history()).messages[3]
        assert (answer.text, answer.stop_reason) == ("half", "cancelled")
        gate.open()


@played()
async def test_a_stream_can_interrupt_its_turn(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        gate = Gate()
        world.model.answers("half", gate)

        async def read() -> None:
            async with session.stream("go") as stream:
                async for event in stream:
                    if isinstance(event, TextDelta):
                        await stream.interrupt()

        assert (await raised(TurnInterruptedError, read())).text == "half"
        gate.open()


@played()
async def test_a_subscription_in_the_middle_of_a_turn_replays_and_follows_it(world: World) -> None:
    async with world.client() as one, world.client() as two:
        session = await world.create(one)
        async with world.running(lambda: session.turn("go"), "so far ") as running:
            await said(two, session.id, "so far ")
            async with await two.session("last").subscribe_events() as events:
                seen = [await events.__anext__()]
                assert isinstance(seen[0].payload, RunStarted)
                assert seen[0].session_id == session.id
                running.gate.open()
                async for envelope in events:
                    seen.append(envelope)
                    if isinstance(envelope.payload, RunCompleted):
                        break
        deltas = [each.payload.delta for each in seen if isinstance(each.payload, TextDelta)]
        assert deltas == ["so far ", "end"]


@played()
async def test_a_subscription_goes_on_after_any_cursor(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        async with await session.subscribe_events(cursor=0) as events:
            whole = [await events.__anext__() for _ in range(session.last_result.cursor)]
        for start in (1, 3, len(whole) - 1):
            async with await session.subscribe_events(cursor=whole[start - 1].seq) as events:
                assert [(await events.__anext__()).seq for _ in whole[start:]] == [e.seq for e in whole[start:]]
                assert events.cursor == whole[-1].seq


@played()
async def test_a_subscription_that_cannot_be_is_refused_when_it_is_opened(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        await raised(StaleCursorError, session.subscribe_events(cursor=9999))
        await raised(SessionNotFoundError, client.subscribe_session_events("ffff"))
        assert "streams=0" in repr(client)
