"""Whatever happens to a turn, its session is free afterwards, whoever waits is told, and other turns do not notice."""

import pytest
import trio
from tests.support.scripted_provider import Gate, tool_call

from meerkatd.agent.port import ToolSpec
from meerkatd.errors import MeerkatError, SessionBusy, StorageFailed, StorageFull, StorageUnknown
from meerkatd.sessions import turn_runner
from meerkatd.sessions.request import AgentOptions
from meerkatd.sessions.sessions import Sessions
from meerkatd.sessions.turn import Turn

from .conftest import OTHER, Bench

BY = OTHER.holder


class Tool:
    """A client with the one tool `echo`."""

    def __init__(self, bench: Bench) -> None:
        bench.tools.register([ToolSpec(name="echo", description="", input_schema={"type": "object"})], self)

    async def execute(self, call_id, name, arguments, *, timeout):
        return "said", False


async def test_an_interrupt_that_meets_a_failing_write_ends_the_turn_and_nothing_else(bench: Bench, monkeypatch):
    """A nursery gives the cancellation and the error as one group, which no `except Exception` inside the scope gets:
    measured, it ended the nursery of all turns."""
    session_id = await bench.created()
    Tool(bench)
    put_tools, writing = bench.store.put_tools, Gate()

    async def refuse_the_outcome(rows, *, charges=()):
        if rows[0].state != "ran":
            return await put_tools(rows, charges=charges)
        await writing.wait()
        raise StorageFull("The disk is full.")

    monkeypatch.setattr(bench.store, "put_tools", refuse_the_outcome)
    bench.provider.answers(tool_call("echo"))
    turn = await bench.start(session_id)
    with trio.fail_after(5):
        await writing.reached.wait()
        turn.interrupt("interrupted by a test")
        writing.open()
        await turn.done.wait()
    with pytest.raises(MeerkatError) as refused:
        turn.outcome()
    assert refused.value.code == "STORAGE_FULL"
    bench.provider.answers("free")
    with trio.fail_after(5):
        await (await bench.start(session_id)).done.wait()


async def test_a_commit_that_fails_in_no_known_way_costs_that_turn_only(bench: Bench, monkeypatch):
    session_id = await bench.created()
    end_turn = bench.store.end_turn

    async def break_down(end):
        raise trio.ClosedResourceError("this realm's store is closed")

    monkeypatch.setattr(bench.store, "end_turn", break_down)
    bench.provider.answers("worth keeping")
    turn = await bench.start(session_id)
    with trio.fail_after(5):
        await turn.done.wait()
    with pytest.raises(MeerkatError) as failed:
        turn.outcome()
    assert failed.value.code == "INTERNAL_ERROR"
    assert failed.value.details["text"] == "worth keeping"
    monkeypatch.setattr(bench.store, "end_turn", end_turn)
    bench.provider.answers("free")
    again = await bench.start(session_id)
    with trio.fail_after(5):
        await again.done.wait()
    assert again.outcome()["text"] == "free"


async def test_turns_that_are_cancelled_with_everything_else_are_committed_first(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers("half", gate)

    async def open_store(create: bool):
        return bench.store

    with trio.fail_after(5):
        async with trio.open_nursery() as everything:
            sessions = Sessions("r", store=open_store, agents=bench.agents, nursery=everything)
            turn = await sessions.start_turn(session_id, "go on", caller=OTHER, options=AgentOptions())
            await gate.reached.wait()
            everything.cancel_scope.cancel()
    assert turn.done.is_set()
    assert turn.state == "interrupted"
    assert (await bench.history(session_id))[3]["blocks"][0]["data"]["text"] == "half"


async def test_a_commit_that_turns_out_later_to_have_happened_is_what_the_next_turn_builds_on(
    bench: Bench, monkeypatch
):
    """Read too early the row lacks the messages that are there, and what was added meanwhile would be added twice."""
    session_id = await bench.created()
    monkeypatch.setattr(turn_runner, "COMMIT_PAUSES", ())
    end_turn = bench.store.end_turn

    async def commit_and_fail(end):
        await end_turn(end)
        raise StorageUnknown("The disk failed.")

    async def find_nothing(turn_id):
        return None

    gate = Gate()
    bench.provider.answers("kept", gate)
    turn = await bench.start(session_id)
    await gate.reached.wait()
    await bench.sessions.inject(session_id, "by the way", source=None)
    with monkeypatch.context() as failing:
        failing.setattr(bench.store, "end_turn", commit_and_fail)
        failing.setattr(bench.store, "turn", find_nothing)
        gate.open()
        await turn.done.wait()
    assert turn.state == "failed"
    bench.provider.answers("and on")
    after = await bench.start(session_id)
    await after.done.wait()
    assert (await bench.sessions.read(session_id))["message_count"] == len(await bench.history(session_id)) == 7
    assert [each["content"] for each in await bench.history(session_id) if each["role"] == "user"].count(
        "by the way"
    ) == 1


@pytest.mark.parametrize("happened", [True, False])
async def test_an_unknown_outcome_of_a_change_is_looked_up(bench: Bench, monkeypatch, happened: bool):
    """Otherwise the session in memory and its row differ until it is forgotten: an archived one would take turns."""
    session_id = await bench.created()
    change_session = bench.store.change_session

    async def unknown(*args, **kwargs):
        if happened:
            await change_session(*args, **kwargs)
        raise StorageUnknown("The disk failed.")

    monkeypatch.setattr(bench.store, "change_session", unknown)
    if happened:
        assert (await bench.sessions.set_labels(session_id, {"a": "b"})).labels == {"a": "b"}
        assert (await bench.sessions.set_archived(session_id, True)).archived_ms is not None
    else:
        with pytest.raises(StorageFailed):
            await bench.sessions.set_labels(session_id, {"a": "b"})
        with pytest.raises(StorageFailed):
            await bench.sessions.set_archived(session_id, True)
    assert (await bench.sessions.read(session_id))["archived"] is happened


async def test_a_session_that_is_found_while_it_is_being_created_is_busy(bench: Bench, monkeypatch):
    """Its row is in the list from the commit on, before the one who makes it runs again."""
    create_session, committed = bench.store.create_session, Gate()
    found: list[str] = []

    async def create_and_wait(row, **kwargs):
        await create_session(row, **kwargs)
        found.append(row.session_id)
        await committed.wait()

    monkeypatch.setattr(bench.store, "create_session", create_and_wait)
    turns: list[Turn | None] = []

    async def create():
        turns.append((await bench.create())[1])

    bench.provider.answers("hi")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(create)
        await committed.reached.wait()
        with pytest.raises(SessionBusy):
            await bench.start(found[0])
        committed.open()
    assert turns[0] is not None
    await turns[0].done.wait()
    assert len(await bench.history(found[0])) == 2


async def test_nothing_is_left_of_a_session_that_could_not_be_created(bench: Bench, monkeypatch):
    async def refuse(row, **kwargs):
        raise StorageFull("The disk is full.")

    monkeypatch.setattr(bench.store, "create_session", refuse)
    with pytest.raises(StorageFull):
        await bench.create()
    assert bench.sessions.active_turns == 0
    assert bench.sessions.idle


async def test_who_waits_for_the_end_of_a_turn_that_cannot_begin_is_told(bench: Bench, monkeypatch):
    session_id = await bench.created()
    beginning = Gate()

    async def refuse(row, **kwargs):
        await beginning.wait()
        raise StorageFull("The disk is full.")

    async def start():
        with pytest.raises(StorageFull):
            await bench.start(session_id)

    monkeypatch.setattr(bench.store, "begin_turn", refuse)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start)
            await beginning.reached.wait()
            async with bench.sessions.hold(session_id) as session:
                turn = session.turn
                assert turn is not None
                beginning.open()
                events = session.events.follow(turn.first_cursor, until=lambda: turn.last_cursor)
                assert [each async for each in events] == []
    assert turn.state == "failed"
