"""Compare-and-set and idempotency keys: a write that does not fit changes nothing at all."""

import pytest
from tests.store.conformance.bench import Bench, durable

from meerkatd.errors import DuplicateInput
from meerkatd.store.api import KeyRow, SessionChange, ToolRow


def key_row(name: str = "k", **fields: object) -> KeyRow:
    given = {"key": name, "method": "turn/start", "digest": "d", "created_ms": 1}
    return KeyRow(**(given | fields))  # type: ignore[arg-type]


async def test_key_comes_back_as_it_was_written(bench: Bench) -> None:
    row = bench.session_row()
    turn = bench.turn_row(row.session_id)
    key = key_row(session_id=row.session_id, turn_id=turn.turn_id, result='{"ok":true}')
    await bench.store.create_session(row, turn=turn, key=key)
    assert await bench.store.key("k") == key


async def test_session_with_a_taken_key_is_not_created(bench: Bench) -> None:
    await bench.store.create_session(bench.session_row(), key=key_row())
    row = bench.session_row(labels={"a": "1"})
    turn = bench.turn_row(row.session_id)
    with pytest.raises(DuplicateInput):
        await bench.store.create_session(row, turn=turn, key=key_row(digest="other"))
    assert await bench.store.session(row.session_id) is None
    assert await bench.store.turn(turn.turn_id) is None
    assert await bench.listed(labels={"a": "1"}) == []
    stored = await bench.store.key("k")
    assert stored is not None
    assert stored.digest == "d"


async def test_turn_with_a_taken_key_is_not_begun(bench: Bench) -> None:
    session = bench.session_row()
    await bench.store.create_session(session, key=key_row())
    before = await bench.stored(session.session_id)
    turn = bench.turn_row(session.session_id)
    with pytest.raises(DuplicateInput):
        await bench.store.begin_turn(turn, event_seq=9, key=key_row())
    assert await bench.stored(session.session_id) == before
    assert await bench.store.turn(turn.turn_id) is None


async def test_change_with_a_taken_key_changes_nothing(bench: Bench) -> None:
    session = bench.session_row(labels={"a": "1"})
    await bench.store.create_session(session, key=key_row())
    before = await bench.stored(session.session_id)
    change = SessionChange(updated_ms=bench.tick(), archived=True, labels={"b": "2"}, meta='{"n":1}')
    with pytest.raises(DuplicateInput):
        await bench.store.change_session(session.session_id, change, key=key_row())
    assert await bench.stored(session.session_id) == before
    assert await bench.listed(labels={"a": "1"}) == [session.session_id]


async def test_same_session_is_not_created_twice(bench: Bench) -> None:
    session = await bench.new_session(meta='{"first":true}')
    with pytest.raises(ValueError, match="exists already"):
        await bench.store.create_session(bench.session_row(session_id=session.session_id), key=key_row())
    assert await bench.stored(session.session_id) == session
    assert await bench.store.key("k") is None


@pytest.mark.parametrize("ordinal", [0, 2])
async def test_turn_out_of_order_is_refused(bench: Bench, ordinal: int) -> None:
    session = await bench.new_session()
    await bench.append(session.session_id, "a")
    before = await bench.stored(session.session_id)
    with pytest.raises(ValueError, match="ordinal"):
        await bench.store.begin_turn(bench.turn_row(session.session_id, ordinal), event_seq=0, key=key_row())
    assert await bench.stored(session.session_id) == before
    assert await bench.store.key("k") is None


async def test_first_turn_with_another_ordinal_is_refused(bench: Bench) -> None:
    session = bench.session_row()
    with pytest.raises(ValueError, match="ordinal"):
        await bench.store.create_session(session, turn=bench.turn_row(session.session_id, 1))
    assert await bench.store.session(session.session_id) is None


async def test_turn_id_is_taken_once(bench: Bench) -> None:
    first, second = await bench.new_session(), await bench.new_session()
    turn = await bench.begin(first.session_id)
    with pytest.raises(ValueError, match="exists already"):
        await bench.begin(second.session_id, turn_id=turn.turn_id)
    assert (await bench.stored(second.session_id)).turn_count == 0


async def test_writes_on_what_does_not_exist_are_refused(bench: Bench) -> None:
    store, stray = bench.store, bench.turn_row("nope")
    session = await bench.new_session()
    tool = ToolRow(turn_id="nope", call_id="c", position=0, name="n", arguments="{}", state="declared")
    with pytest.raises(KeyError):
        await store.begin_turn(stray, event_seq=0)
    with pytest.raises(KeyError):
        await store.end_turn(bench.turn_end(stray, "a"))
    with pytest.raises(KeyError):
        await store.end_turn(bench.turn_end(bench.turn_row(session.session_id), "a"))
    with pytest.raises(KeyError):
        await store.reserve_events("nope", 1)
    with pytest.raises(KeyError):
        await store.change_session("nope", SessionChange(updated_ms=1))
    with pytest.raises(KeyError):
        await store.put_tools([tool])


async def test_tools_of_one_call_are_all_or_nothing(bench: Bench) -> None:
    session = await bench.new_session()
    turn = await bench.begin(session.session_id)
    rows = [
        ToolRow(turn_id=turn_id, call_id="c", position=0, name="n", arguments="{}", state="declared")
        for turn_id in (turn.turn_id, "nope")
    ]
    with pytest.raises(KeyError):
        await bench.store.put_tools(rows)
    assert await bench.store.tools(turn.turn_id) == []


async def test_old_keys_are_pruned_and_can_be_used_again(bench: Bench) -> None:
    for created in (1, 2, 3):
        await bench.store.create_session(bench.session_row(), key=key_row(f"k{created}", created_ms=created))
    assert await bench.store.prune_keys(before_ms=3) == 2
    assert await bench.store.key("k2") is None
    assert await bench.store.key("k3") is not None
    assert await bench.store.prune_keys(before_ms=3) == 0
    await bench.store.create_session(bench.session_row(), key=key_row("k1"))


@durable
async def test_key_is_known_after_opening_again(bench: Bench) -> None:
    session = bench.session_row()
    await bench.store.create_session(session, key=key_row(session_id=session.session_id))
    await bench.reopen()
    with pytest.raises(DuplicateInput):
        await bench.store.create_session(bench.session_row(), key=key_row())
