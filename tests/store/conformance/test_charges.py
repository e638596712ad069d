"""Charges are recorded once, with what they belong to, and their sums are right."""

import pytest
from tests.store.conformance.bench import Bench, durable

from meerkatd.store.api import ChargeRow, ToolRow, TurnRow, UsageRow, UsageTotals

DAY_MS = 86_400_000
MORNING = 1_700_006_400_000  # 2023-11-15T00:00:00Z


def tool_row(turn: TurnRow) -> ToolRow:
    return ToolRow(turn_id=turn.turn_id, call_id="c", position=0, name="n", arguments="{}", state="started")


async def all_charges(bench: Bench, session_id: str) -> list[ChargeRow]:
    return list(await bench.store.charges(session_id, limit=1000))


def brief(row: UsageRow) -> tuple[str, str, int, int]:
    return row.day, row.model, row.calls, row.cost_nanos


async def test_charge_comes_back_as_it_was_recorded(bench: Bench) -> None:
    turn = await bench.new_turn()
    usage = UsageTotals(input_tokens=1, output_tokens=2, cache_creation_tokens=3, cache_read_tokens=4)
    row = bench.charge_row(turn, usage=usage, cost_nanos=None, estimated=True, provider="über", model="a/b:c")
    await bench.store.put_charges([row])
    assert await all_charges(bench, turn.session_id) == [row]


async def test_charges_read_in_the_order_of_recording_and_by_page(bench: Bench) -> None:
    turn = await bench.new_turn()
    rows = [bench.charge_row(turn) for _ in range(5)]
    await bench.store.put_charges([rows[3], rows[1]])
    await bench.store.put_charges([rows[0], rows[4], rows[2]])
    recorded = [rows[n] for n in (3, 1, 0, 4, 2)]
    assert await all_charges(bench, turn.session_id) == recorded
    assert await bench.store.charges(turn.session_id, offset=1, limit=3) == recorded[1:4]
    assert await bench.store.charges(turn.session_id, offset=9, limit=3) == []
    assert await bench.store.charges(turn.session_id, limit=0) == []


async def test_charges_come_with_the_turns_end_and_with_tool_calls(bench: Bench) -> None:
    turn = await bench.new_turn()
    early, late = bench.charge_row(turn), bench.charge_row(turn)
    await bench.store.put_tools([tool_row(turn)], charges=[early])
    assert await bench.store.tools(turn.turn_id) == [tool_row(turn)]
    await bench.store.put_tools([], charges=[early])
    await bench.store.end_turn(bench.turn_end(turn, "a", "b", charges=[late]))
    assert await all_charges(bench, turn.session_id) == [early, late]
    assert await bench.bodies(turn.session_id) == ["a", "b"]


async def test_charge_that_is_recorded_already_is_left_out(bench: Bench) -> None:
    turn = await bench.new_turn()
    row, other = bench.charge_row(turn), bench.charge_row(turn)
    await bench.store.put_charges([row, row])
    await bench.store.put_charges([row, other])
    assert await all_charges(bench, turn.session_id) == [row, other]
    (total,) = await bench.store.usage()
    assert (total.calls, total.cost_nanos) == (2, 2000)


async def test_charge_of_an_ended_turn_is_recorded(bench: Bench) -> None:
    turn = await bench.new_turn()
    await bench.store.end_turn(bench.turn_end(turn, "a"))
    await bench.store.put_charges([bench.charge_row(turn)])
    assert len(await all_charges(bench, turn.session_id)) == 1


async def test_charges_of_a_refused_write_are_not_recorded(bench: Bench) -> None:
    turn, other = await bench.new_turn(), await bench.new_turn()
    stray = bench.turn_row(turn.session_id)
    with pytest.raises(KeyError):
        await bench.store.put_charges([bench.charge_row(turn), bench.charge_row(stray)])
    with pytest.raises(KeyError):
        await bench.store.put_charges([bench.charge_row(turn, session_id="nope")])
    with pytest.raises(ValueError, match="several"):
        await bench.store.put_charges([bench.charge_row(turn), bench.charge_row(other)])
    with pytest.raises(ValueError, match="is not a turn of"):
        await bench.store.put_charges([bench.charge_row(other, session_id=turn.session_id)])
    with pytest.raises(ValueError, match="several"):
        await bench.store.end_turn(bench.turn_end(turn, "a", charges=[bench.charge_row(other)]))
    await bench.store.end_turn(bench.turn_end(turn, "a"))
    with pytest.raises(ValueError, match="not a running turn"):
        await bench.store.end_turn(bench.turn_end(turn, "a", charges=[bench.charge_row(turn)]))
    assert await bench.store.usage() == []
    assert await all_charges(bench, turn.session_id) == await all_charges(bench, other.session_id) == []


async def test_usage_sums_by_session_day_provider_and_model(bench: Bench) -> None:
    turn, other = await bench.new_turn(), await bench.new_turn()
    first, second = sorted((turn, other), key=lambda row: row.session_id)
    charge = bench.charge_row
    await bench.store.put_charges(
        [
            charge(second, at_ms=MORNING + DAY_MS, cost_nanos=None, estimated=True),
            charge(second, at_ms=MORNING + 2 * DAY_MS - 1, cost_nanos=7),
        ]
    )
    await bench.store.put_charges(
        [
            charge(first, at_ms=MORNING + DAY_MS - 1, cost_nanos=1 << 40),
            charge(first, at_ms=MORNING + DAY_MS, provider="q"),
            charge(first, at_ms=MORNING + DAY_MS, model="a"),
        ]
    )
    rows = await bench.store.usage()
    assert [(row.session_id, row.day, row.provider, row.model) for row in rows] == [
        (first.session_id, "2023-11-15", "p", "m"),
        (first.session_id, "2023-11-16", "p", "a"),
        (first.session_id, "2023-11-16", "q", "m"),
        (second.session_id, "2023-11-16", "p", "m"),
    ]
    assert rows[0].cost_nanos == 1 << 40
    assert rows[3] == UsageRow(
        session_id=second.session_id,
        day="2023-11-16",
        provider="p",
        model="m",
        usage=UsageTotals(input_tokens=20, output_tokens=2),
        cost_nanos=7,
        calls=2,
        calls_without_cost=1,
        estimated=1,
        time_ms=2400,
        tool_calls=4,
    )


async def test_usage_is_told_of_whole_days_and_of_one_session(bench: Bench) -> None:
    turn, other = await bench.new_turn(), await bench.new_turn()
    for day in range(4):
        for row in (turn, other):
            await bench.store.put_charges([bench.charge_row(row, at_ms=MORNING + day * DAY_MS + 5)])
    noon = MORNING + DAY_MS + DAY_MS // 2

    async def told(**asked: int | None) -> list[str]:
        return [row.day for row in await bench.store.usage(session_id=turn.session_id, **asked)]

    assert await told() == ["2023-11-15", "2023-11-16", "2023-11-17", "2023-11-18"]
    assert await told(since_ms=noon) == ["2023-11-16", "2023-11-17", "2023-11-18"]
    assert await told(since_ms=noon, until_ms=noon + DAY_MS) == ["2023-11-16", "2023-11-17"]
    assert await told(until_ms=MORNING + DAY_MS) == ["2023-11-15"]
    assert len(await bench.store.usage(since_ms=noon, until_ms=noon + DAY_MS)) == 4
    assert await bench.store.usage(session_id="nope") == []
    assert await bench.store.charges("nope", limit=5) == []


@durable
async def test_charges_and_their_sums_are_there_after_opening_again(bench: Bench) -> None:
    turn = await bench.new_turn()
    rows = [bench.charge_row(turn), bench.charge_row(turn, cost_nanos=None)]
    await bench.store.put_tools([tool_row(turn)], charges=rows[:1])
    await bench.store.end_turn(bench.turn_end(turn, "a", charges=rows[1:]))
    before = await bench.store.usage()
    for _ in range(2):  # A second time, for what is known from an index is written into the next one.
        await bench.reopen()
        assert await all_charges(bench, turn.session_id) == rows
        assert await bench.store.usage() == before
        await bench.store.put_charges(rows)
        assert await bench.store.usage() == before
        await bench.new_session()
