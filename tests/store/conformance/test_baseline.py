"""Rows come back as they were written."""

import pytest
import trio
from tests.store.conformance.bench import Bench, durable

from meerkatd.store.api import SessionChange, ToolRow, UsageTotals

USAGE = UsageTotals(input_tokens=3, output_tokens=5, cache_creation_tokens=7, cache_read_tokens=11)


async def test_session_comes_back_as_it_was_created(bench: Bench) -> None:
    row = bench.session_row(event_seq=9, usage=USAGE, labels={"a": "1", "ü": "ß"}, meta='{"model":"m"}')
    await bench.store.create_session(row)
    assert await bench.store.session(row.session_id) == row


async def test_counts_of_a_new_session_are_the_stores(bench: Bench) -> None:
    row = bench.session_row(message_count=7, turn_count=7)
    await bench.store.create_session(row, turn=bench.turn_row(row.session_id))
    stored = await bench.stored(row.session_id)
    assert (stored.message_count, stored.turn_count) == (0, 1)


async def test_first_turn_is_written_with_its_session(bench: Bench) -> None:
    row = bench.session_row()
    turn = bench.turn_row(row.session_id, holder='{"surface":"cli"}')
    await bench.store.create_session(row, turn=turn)
    assert await bench.store.turn(turn.turn_id) == turn
    assert await bench.store.last_turn(row.session_id) == turn
    assert await bench.store.running_turns() == [turn]


async def test_unknown_ids_read_as_none_or_nothing(bench: Bench) -> None:
    assert await bench.store.session("nope") is None
    assert await bench.store.turn("nope") is None
    assert await bench.store.last_turn("nope") is None
    assert await bench.store.key("nope") is None
    assert await bench.store.tools("nope") == []
    assert await bench.store.running_turns() == []
    with pytest.raises(KeyError):
        await bench.page("nope")


async def test_begun_turn_moves_the_sessions_counters(bench: Bench) -> None:
    session = await bench.new_session(event_seq=5)
    turn = bench.turn_row(session.session_id)
    await bench.store.begin_turn(turn, event_seq=40, meta='{"model":"other"}')
    stored = await bench.stored(session.session_id)
    assert (stored.turn_count, stored.event_seq, stored.updated_ms) == (1, 40, turn.started_ms)
    assert stored.meta == '{"model":"other"}'


async def test_ended_turn_settles_its_row_and_its_session(bench: Bench) -> None:
    session = await bench.new_session(usage=USAGE)
    turn = await bench.begin(session.session_id)
    end = bench.turn_end(turn, "a", "b", state="interrupted", usage=USAGE, event_seq=12, meta='{"n":1}')
    await bench.store.end_turn(end)
    ended = await bench.stored_turn(turn.turn_id)
    assert (ended.state, ended.ended_ms, ended.detail, ended.usage) == ("interrupted", end.ended_ms, end.detail, USAGE)
    stored = await bench.stored(session.session_id)
    assert (stored.message_count, stored.updated_ms, stored.event_seq) == (2, end.ended_ms, 12)
    assert (stored.meta, stored.usage) == ('{"n":1}', USAGE + USAGE)
    assert await bench.store.running_turns() == []


async def test_prompt_is_dropped_once_messages_have_it(bench: Bench) -> None:
    session = await bench.new_session()
    turn = await bench.append(session.session_id, "the prompt")
    assert (await bench.stored_turn(turn.turn_id)).prompt == ""


@pytest.mark.parametrize(("state", "bodies"), [("failed", ()), ("lost", ()), ("lost", ("the prompt",))])
async def test_prompt_of_a_turn_without_messages_or_lost_is_kept(
    bench: Bench, state: str, bodies: tuple[str, ...]
) -> None:
    session = await bench.new_session()
    turn = await bench.begin(session.session_id)
    await bench.store.end_turn(bench.turn_end(turn, *bodies, state=state))
    assert (await bench.stored_turn(turn.turn_id)).prompt == turn.prompt


async def test_last_turn_is_the_one_begun_last(bench: Bench) -> None:
    session = await bench.new_session()
    assert await bench.store.last_turn(session.session_id) is None
    await bench.append(session.session_id, "one")
    second = await bench.append(session.session_id, "two")
    last = await bench.store.last_turn(session.session_id)
    assert last is not None
    assert (last.turn_id, last.ordinal) == (second.turn_id, 1)


async def test_tools_are_replaced_by_call_and_read_in_order(bench: Bench) -> None:
    session = await bench.new_session()
    turn = await bench.begin(session.session_id)
    given = {"turn_id": turn.turn_id, "name": "shell", "arguments": '{"cmd":"ls"}'}
    second = ToolRow(call_id="a", position=1, state="declared", **given)
    first = ToolRow(call_id="b", position=0, state="declared", **given)
    await bench.store.put_tools([second, first])
    ran = ToolRow(call_id="b", position=0, state="ran", detail='{"out":""}', **given)
    await bench.store.put_tools([ran])
    assert await bench.store.tools(turn.turn_id) == [ran, second]
    await bench.store.put_tools([])


async def test_change_returns_the_row_as_it_is_then(bench: Bench) -> None:
    session = await bench.new_session(labels={"a": "1"})
    changed = await bench.store.change_session(
        session.session_id, SessionChange(updated_ms=bench.tick(), meta='{"n":2}')
    )
    assert (changed.meta, changed.labels) == ('{"n":2}', {"a": "1"})
    assert await bench.store.session(session.session_id) == changed


async def test_event_bound_rises_until_the_turn_ends_and_tells_the_last_number(bench: Bench) -> None:
    session = await bench.new_session()
    for asked, expected in ((50, 50), (20, 50), (51, 51)):
        await bench.store.reserve_events(session.session_id, asked)
        assert (await bench.stored(session.session_id)).event_seq == expected
    turn = bench.turn_row(session.session_id)
    await bench.store.begin_turn(turn, event_seq=30)
    assert (await bench.stored(session.session_id)).event_seq == 51
    await bench.store.end_turn(bench.turn_end(turn, event_seq=3))
    assert (await bench.stored(session.session_id)).event_seq == 3


@durable
async def test_last_event_number_is_known_after_opening_again(bench: Bench) -> None:
    session = await bench.new_session()
    turn = bench.turn_row(session.session_id)
    await bench.store.begin_turn(turn, event_seq=1 << 24)
    await bench.store.end_turn(bench.turn_end(turn, event_seq=9))
    await bench.reopen()
    assert (await bench.stored(session.session_id)).event_seq == 9


async def test_info_counts_what_is_there(bench: Bench) -> None:
    session = await bench.new_session()
    await bench.append(session.session_id, "a", "b", "c")
    info = await bench.store.info()
    assert (info.sessions, info.messages, info.backend) == (1, 3, bench.store.backend)
    assert info.format_version >= 1


async def test_tidy_changes_nothing_that_can_be_read(bench: Bench) -> None:
    session = await bench.new_session()
    await bench.append(session.session_id, "a")
    await bench.store.tidy()
    assert await bench.bodies(session.session_id) == ["a"]


async def test_closed_store_refuses_every_call_and_closes_twice(bench: Bench) -> None:
    session = await bench.new_session()
    await bench.store.aclose()
    await bench.store.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await bench.store.session(session.session_id)
    with pytest.raises(trio.ClosedResourceError):
        await bench.store.reserve_events(session.session_id, 1)


@durable
async def test_everything_is_there_after_opening_again(bench: Bench) -> None:
    session = await bench.new_session(labels={"a": "1"}, usage=USAGE)
    turn = await bench.append(session.session_id, "a", "b")
    running = await bench.begin(session.session_id, 1)
    tool = ToolRow(turn_id=running.turn_id, call_id="c", position=0, name="n", arguments="{}", state="started")
    await bench.store.put_tools([tool])
    before = (await bench.stored(session.session_id), await bench.stored_turn(turn.turn_id))
    await bench.reopen()
    assert (await bench.stored(session.session_id), await bench.stored_turn(turn.turn_id)) == before
    assert await bench.bodies(session.session_id) == ["a", "b"]
    assert await bench.store.running_turns() == [running]
    assert await bench.store.tools(running.turn_id) == [tool]
