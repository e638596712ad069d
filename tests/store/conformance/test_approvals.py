"""Approvals are kept by id, and listed newest first."""

from dataclasses import replace

import pytest
from tests.store.conformance.bench import Bench, durable


async def test_approval_comes_back_as_it_was_put(bench: Bench) -> None:
    turn = await bench.new_turn()
    row = bench.approval_row(turn, body='{"ü": [1]}')
    await bench.store.put_approval(row)
    assert await bench.store.approval(row.approval_id) == row
    assert await bench.store.approval("nope") is None


async def test_approval_is_replaced_by_its_id(bench: Bench) -> None:
    turn = await bench.new_turn()
    row = bench.approval_row(turn)
    await bench.store.put_approval(row)
    decided = replace(row, state="allowed", decided_ms=bench.tick(), decision='{"by":"cli"}')
    await bench.store.put_approval(decided)
    assert await bench.store.approval(row.approval_id) == decided
    assert await bench.store.approvals(limit=10) == [decided]
    assert await bench.store.approvals(states=["pending"], limit=10) == []


async def test_approvals_are_newest_first_and_limited(bench: Bench) -> None:
    turn = await bench.new_turn()
    rows = [bench.approval_row(turn, created_ms=7 - n // 2) for n in range(6)]
    for row in rows:
        await bench.store.put_approval(row)
    newest = sorted(rows, key=lambda row: (row.created_ms, row.approval_id), reverse=True)
    assert await bench.store.approvals(limit=10) == newest
    assert await bench.store.approvals(limit=3) == newest[:3]
    assert await bench.store.approvals(limit=0) == []


async def test_approvals_are_chosen_by_session_and_state(bench: Bench) -> None:
    turn, other = await bench.new_turn(), await bench.new_turn()
    mine = [bench.approval_row(turn, state=state) for state in ("pending", "allowed", "denied", "cancelled", "used")]
    theirs = bench.approval_row(other)
    for row in (*mine, theirs):
        await bench.store.put_approval(row)
    assert await bench.store.approvals(session_id=turn.session_id, limit=10) == mine[::-1]
    assert await bench.store.approvals(states=["pending"], limit=10) == [theirs, mine[0]]
    chosen = await bench.store.approvals(session_id=turn.session_id, states=["pending", "used"], limit=10)
    assert chosen == [mine[4], mine[0]]
    assert await bench.store.approvals(session_id="nope", limit=10) == []


async def test_approval_must_have_its_session_and_turn(bench: Bench) -> None:
    turn, other = await bench.new_turn(), await bench.new_turn()
    row = bench.approval_row(turn)
    for wrong in ({"session_id": "nope"}, {"turn_id": "nope"}):
        with pytest.raises(KeyError):
            await bench.store.put_approval(replace(row, **wrong))
    with pytest.raises(ValueError, match="is not a turn of"):
        await bench.store.put_approval(replace(row, session_id=other.session_id))
    await bench.store.put_approval(row)
    with pytest.raises(ValueError, match="another session's"):
        await bench.store.put_approval(replace(row, session_id=other.session_id, turn_id=other.turn_id))
    assert await bench.store.approvals(limit=10) == [row]


@durable
async def test_approvals_are_there_after_opening_again(bench: Bench) -> None:
    turn = await bench.new_turn()
    pending, row = bench.approval_row(turn), bench.approval_row(turn)
    await bench.store.put_approval(pending)
    await bench.store.put_approval(row)
    decided = replace(row, state="denied", decided_ms=bench.tick(), decision="{}")
    await bench.store.put_approval(decided)
    for _ in range(2):
        await bench.reopen()
        assert await bench.store.approvals(limit=10) == [decided, pending]
        assert await bench.store.approvals(states=["pending"], limit=10) == [pending]
        await bench.new_session()
