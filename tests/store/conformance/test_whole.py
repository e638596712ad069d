"""A whole store: copied while it is used, and carried into another one of any backend."""

import json
import sqlite3
from contextlib import aclosing
from pathlib import Path

import pytest
import trio
from tests.store.conformance.bench import WIRINGS, Bench, Wiring, durable
from tests.store.conformance.test_append import BODIES

from meerkatd.store import portable
from meerkatd.store.api import KeyRow, RealmStore, SessionChange, ToolRow, UsageTotals
from meerkatd.store.digest import digests
from meerkatd.store.parts import Part, parts_of, take

USAGE = UsageTotals(input_tokens=3, output_tokens=5, cache_creation_tokens=7, cache_read_tokens=11)


async def fill(bench: Bench) -> None:
    """One of everything that a store keeps."""
    session = await bench.new_session(usage=USAGE, labels={"b": "2", "a": "ü"}, event_seq=9, meta='{"m": 1}')
    turn = await bench.begin(session.session_id)
    tool = ToolRow(turn_id=turn.turn_id, call_id="c", position=0, name="n", arguments="{}", state="ran", detail="{}")
    await bench.store.put_tools([tool], charges=[bench.charge_row(turn)])
    bodies = [*BODIES, '{"role":"block_assistant"}']
    await bench.store.end_turn(bench.turn_end(turn, *bodies, usage=USAGE, charges=[bench.charge_row(turn)]))
    await bench.store.put_approval(bench.approval_row(turn, state="denied", decided_ms=1, decision="{}"))
    await bench.append(session.session_id, "more")
    fork = bench.session_row(session_id="00" + session.session_id[2:])
    key = KeyRow(key="k", method="m", digest="d", session_id=fork.session_id, created_ms=bench.tick())
    await bench.store.fork_session(fork, source_id=session.session_id, count=2, key=key)
    await bench.append(fork.session_id, "of the fork")
    again = bench.session_row(session_id="1" + session.session_id[1:])
    await bench.store.fork_session(again, source_id=fork.session_id, count=3)
    await bench.store.change_session(again.session_id, SessionChange(updated_ms=bench.tick(), archived=True))
    await bench.begin(session.session_id, 2, prompt='"running"')
    await bench.store.blobs.put(b"\0\xff", "image/png")


async def everything(store: RealmStore, blobs: RealmStore) -> list[Part]:
    async with aclosing(parts_of(store, blobs=blobs.blobs)) as parts:
        return [part async for part in parts]


async def copied(bench: Bench, folder: Path) -> RealmStore:
    await trio.Path(folder).mkdir()
    return await bench.store.copy_to(str(folder))


async def test_copy_has_everything_and_is_no_more_the_same_store(bench: Bench, tmp_path: Path) -> None:
    await fill(bench)
    copy = await copied(bench, tmp_path / "copy")
    try:
        assert await everything(copy, bench.store) == await everything(bench.store, bench.store)
        assert await digests(copy) == await digests(bench.store)
        assert await copy.usage() == await bench.store.usage()
        assert await copy.problems() == []
        (session_id,) = await bench.listed(labels={"a": "ü"})
        await bench.store.append(session_id, [], updated_ms=7)
        assert await digests(copy) != await digests(bench.store)
    finally:
        await copy.aclose()


async def test_copy_is_of_one_moment_while_turns_end(bench: Bench, tmp_path: Path) -> None:
    """Each round writes to two sessions, one after the other: no copy has the second without the first."""
    first, second = await bench.new_session(), await bench.new_session()
    body = json.dumps({"role": "user", "content": "x" * 20_000})
    for _ in range(30):
        await bench.append(first.session_id, body)
        await bench.append(second.session_id, body)
    done = trio.Event()

    async def write_on() -> None:
        while not done.is_set():
            await bench.append(first.session_id, body)
            await bench.append(second.session_id, body)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write_on)
        copy = await copied(bench, tmp_path / "copy")
        done.set()
    try:
        counts = [
            row.message_count
            for session in (first, second)
            if (row := await copy.session(session.session_id)) is not None
        ]
        assert counts[0] - counts[1] in (0, 1)
        assert counts[0] >= 30
        assert await copy.problems() == []
        for session, count in zip((first, second), counts, strict=True):
            page = await copy.messages(session.session_id, offset=0, limit=1 << 20, max_bytes=1 << 40)
            assert page.bodies == [body] * count
    finally:
        await copy.aclose()


@pytest.mark.parametrize("target", WIRINGS, ids=str)
async def test_every_backend_takes_what_every_other_has(bench: Bench, target: Wiring, tmp_path: Path) -> None:
    """By way of the export format. The copy has the same digests, shares what was shared, and can be gone on with."""
    await fill(bench)
    parts = await everything(bench.store, bench.store)
    lines = [portable.line_of(part) for part in parts]
    assert [portable.part_of(json.loads(line)) for line in lines] == parts
    folder = tmp_path / "other"
    await trio.Path(folder).mkdir()
    other = await target.backend().open(str(folder), create=True, bulk=True)
    try:
        for line in lines:
            await take(other, portable.part_of(json.loads(line)))
        assert await digests(other) == await digests(bench.store)
        assert await everything(other, other) == parts
        assert await other.usage() == await bench.store.usage()
        assert await other.running_turns() == await bench.store.running_turns()
        assert await other.problems() == []
        assert await other.key("k") == await bench.store.key("k")
    finally:
        await other.aclose()


async def test_restoring_refuses_what_does_not_fit(bench: Bench) -> None:
    source = await bench.new_session()
    await bench.append(source.session_id, "a")
    row = bench.session_row()
    with pytest.raises(KeyError):
        await bench.store.restore_session(row, lineage=[("nope", 1)])
    for lineage in ([(source.session_id, 2)], [(source.session_id, 0)], [(source.session_id, 1)] * 2):
        with pytest.raises(ValueError, match="to share"):
            await bench.store.restore_session(row, lineage=lineage)
    with pytest.raises(ValueError, match="exists already"):
        await bench.store.restore_session(source)
    await bench.store.restore_session(row, lineage=[(source.session_id, 1)])
    turns = [bench.turn_row(row.session_id, n, state="lost") for n in range(3)]
    with pytest.raises(ValueError, match="ordinal"):
        await bench.store.restore_turns(turns[1:])
    with pytest.raises(ValueError, match="several"):
        await bench.store.restore_turns([turns[0], bench.turn_row(source.session_id, 1)])
    with pytest.raises(KeyError):
        await bench.store.restore_turns([bench.turn_row("nope")])
    await bench.store.restore_turns(turns)
    await bench.store.restore_turns([])
    assert await bench.store.turns(row.session_id, limit=10) == turns
    assert await bench.store.turns(row.session_id, offset=1, limit=1) == turns[1:2]
    assert (await bench.stored(row.session_id)).turn_count == 3
    assert await bench.bodies(row.session_id) == ["a"]


@durable
async def test_restored_sessions_are_there_after_opening_again(bench: Bench) -> None:
    source, row = await bench.new_session(), bench.session_row()
    await bench.append(source.session_id, "a", "b")
    key = KeyRow(key="k", method="m", digest="d", session_id=row.session_id, created_ms=1)
    await bench.store.restore_session(row, lineage=[(source.session_id, 2)], keys=[key])
    await bench.store.restore_turns([bench.turn_row(row.session_id, state="failed", detail="{}")])
    before = await everything(bench.store, bench.store)
    for _ in range(2):
        await bench.reopen()
        assert await everything(bench.store, bench.store) == before
        assert list(await bench.store.lineage(row.session_id)) == [(source.session_id, 2)]
        await bench.store.tidy()


async def test_contradictions_in_a_database_are_problems(bench_sqlite: Bench, tmp_path: Path) -> None:
    await fill(bench_sqlite)
    copy = await copied(bench_sqlite, tmp_path / "copy")
    await copy.aclose()
    database = sqlite3.connect(tmp_path / "copy" / "sessions.sqlite3")
    database.execute("UPDATE sessions SET message_count = message_count + 1 WHERE lineage = '[]'")
    database.execute("DELETE FROM turns WHERE state = 'running'")
    database.commit()
    database.close()
    store = await bench_sqlite.backend.open(str(tmp_path / "copy"), create=False)
    try:
        problems = await store.problems()
        assert len(problems) == 2
        assert "messages of its own" in problems[0]
        assert "turns" in problems[1]
    finally:
        await store.aclose()
