"""Many tasks at once, and cancellation."""

from functools import partial

import pytest
import trio
import trio.testing
from tests.store.conformance.bench import Bench, durable

from meerkatd.errors import DuplicateInput
from meerkatd.store.api import KeyRow


async def test_writes_of_many_sessions_do_not_mix(bench: Bench) -> None:
    sessions = [await bench.new_session() for _ in range(20)]

    async def run(session_id: str) -> None:
        for n in range(5):
            await bench.append(session_id, f"{session_id} {n}")

    async with trio.open_nursery() as nursery:
        for session in sessions:
            nursery.start_soon(run, session.session_id)
    for session in sessions:
        assert await bench.bodies(session.session_id) == [f"{session.session_id} {n}" for n in range(5)]


async def test_one_of_many_writers_wins_the_same_turn(bench: Bench) -> None:
    session = await bench.new_session()
    outcomes: list[str] = []

    async def begin() -> None:
        try:
            await bench.begin(session.session_id, 0)
            outcomes.append("won")
        except ValueError:
            outcomes.append("refused")

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(begin)
    assert sorted(outcomes) == ["refused"] * 9 + ["won"]
    assert (await bench.stored(session.session_id)).turn_count == 1
    assert len(await bench.store.running_turns()) == 1


async def test_one_of_many_writers_wins_the_same_key(bench: Bench) -> None:
    created: list[str] = []

    async def create() -> None:
        row = bench.session_row()
        try:
            await bench.store.create_session(row, key=KeyRow(key="k", method="m", digest="d"))
            created.append(row.session_id)
        except DuplicateInput:
            pass

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(create)
    assert await bench.listed() == created
    assert len(created) == 1


async def test_refused_write_does_not_sink_those_beside_it(bench: Bench) -> None:
    sessions = [await bench.new_session() for _ in range(10)]
    refused = 0

    async def reserve(session_id: str) -> None:
        nonlocal refused
        try:
            await bench.store.reserve_events(session_id, 7)
        except KeyError:
            refused += 1

    async with trio.open_nursery() as nursery:
        for session in sessions:
            nursery.start_soon(reserve, session.session_id)
            nursery.start_soon(reserve, "nope")
    assert refused == 10
    for session in sessions:
        assert (await bench.stored(session.session_id)).event_seq == 7


async def test_acknowledged_write_is_seen_by_the_next_read_of_any_task(bench: Bench) -> None:
    session = await bench.new_session()
    acknowledged = 0

    async def write() -> None:
        nonlocal acknowledged
        for n in range(1, 51):
            await bench.store.reserve_events(session.session_id, n)
            acknowledged = n

    async def watch() -> None:
        while acknowledged < 50:
            floor = acknowledged
            assert (await bench.stored(session.session_id)).event_seq >= floor

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        for _ in range(3):
            nursery.start_soon(watch)


async def test_page_and_total_are_of_one_moment(bench: Bench) -> None:
    session = await bench.new_session()
    done = trio.Event()

    async def write() -> None:
        for _ in range(30):
            await bench.append(session.session_id, "a", "b", "c")
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        while not done.is_set():
            page = await bench.page(session.session_id)
            assert len(page.bodies) == page.total
            assert page.total % 3 == 0


async def test_write_in_a_cancelled_scope_does_not_happen(bench: Bench) -> None:
    session = bench.session_row()
    with trio.CancelScope() as scope:
        scope.cancel()
        await bench.store.create_session(session)
    assert scope.cancelled_caught
    assert await bench.store.session(session.session_id) is None


async def test_cancelled_writes_happened_wholly_or_not_at_all(bench: Bench) -> None:
    """Thirty writers are cancelled while they wait: some are in the store, some are not, and none is by half."""
    rows = [bench.session_row(labels={"a": "1"}) for _ in range(30)]
    turns = [bench.turn_row(row.session_id) for row in rows]
    async with trio.open_nursery() as nursery:
        for row, turn in zip(rows, turns, strict=True):
            nursery.start_soon(partial(bench.store.create_session, row, turn=turn))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    labelled = await bench.listed(labels={"a": "1"})
    for row, turn in zip(rows, turns, strict=True):
        there = await bench.store.session(row.session_id) is not None
        assert (await bench.store.turn(turn.turn_id) is not None) == there
        assert (row.session_id in labelled) == there
    await bench.append((await bench.new_session()).session_id, "the store works on")


async def test_cancelled_read_leaves_the_store_usable(bench: Bench) -> None:
    session = await bench.new_session()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(bench.store.session, session.session_id)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert await bench.store.session(session.session_id) is not None


@durable
async def test_closing_finishes_the_writes_that_wait(bench: Bench) -> None:
    rows = [bench.session_row() for _ in range(30)]
    async with trio.open_nursery() as nursery:
        for row in rows:
            nursery.start_soon(bench.store.create_session, row)
        await trio.testing.wait_all_tasks_blocked()
        await bench.store.aclose()
    await bench.reopen()
    assert sorted(await bench.listed()) == sorted(row.session_id for row in rows)


async def test_closing_in_a_cancelled_scope_closes(bench: Bench) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await bench.store.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await bench.store.session("any")
