"""Messages are appended whole turns at a time, without gaps, and bodies are nobody's business."""

import pytest
from tests.store.conformance.bench import Bench, durable

BODIES = (
    "",
    "{}",
    '{"text":"line\\nbreak"}',
    "tab\tand\nnewline\rand\x00nul\x1f",
    "žluťoučký kůň 猫 🦦 \U0010ffff",
    "\"quotes\" and 'quotes' and ; DROP TABLE messages",
    "\ufeffbom and \u2028 line separator",
)


async def test_bodies_come_back_byte_for_byte(bench: Bench) -> None:
    session = await bench.new_session()
    await bench.append(session.session_id, *BODIES)
    assert await bench.bodies(session.session_id) == list(BODIES)


async def test_messages_of_several_turns_are_one_dense_sequence(bench: Bench) -> None:
    session = await bench.new_session()
    sizes = (3, 1, 0, 4)
    for turn, size in enumerate(sizes):
        await bench.append(session.session_id, *(f"{turn}.{n}" for n in range(size)))
    expected = [f"{turn}.{n}" for turn, size in enumerate(sizes) for n in range(size)]
    assert await bench.bodies(session.session_id) == expected
    for offset, body in enumerate(expected):
        page = await bench.page(session.session_id, offset, 1)
        assert (page.offset, page.total, list(page.bodies)) == (offset, len(expected), [body])


async def test_sessions_do_not_see_each_others_messages(bench: Bench) -> None:
    first, second = await bench.new_session(), await bench.new_session()
    for n in range(3):
        await bench.append(first.session_id, f"first {n}")
        await bench.append(second.session_id, f"second {n}")
    assert await bench.bodies(first.session_id) == ["first 0", "first 1", "first 2"]
    assert await bench.bodies(second.session_id) == ["second 0", "second 1", "second 2"]


async def test_running_turn_shows_no_message(bench: Bench) -> None:
    session = await bench.new_session()
    turn = await bench.begin(session.session_id)
    assert (await bench.page(session.session_id)).total == 0
    await bench.store.end_turn(bench.turn_end(turn, "a"))
    assert (await bench.page(session.session_id)).total == 1


async def test_turn_is_ended_only_once(bench: Bench) -> None:
    session = await bench.new_session()
    turn = await bench.append(session.session_id, "a")
    with pytest.raises(ValueError, match="not a running turn"):
        await bench.store.end_turn(bench.turn_end(turn, "again"))
    assert await bench.bodies(session.session_id) == ["a"]


async def test_turn_is_ended_only_in_its_own_session(bench: Bench) -> None:
    first, second = await bench.new_session(), await bench.new_session()
    turn = await bench.begin(first.session_id)
    stray = bench.turn_row(second.session_id, turn_id=turn.turn_id)
    with pytest.raises(ValueError, match="not a running turn"):
        await bench.store.end_turn(bench.turn_end(stray, "stray"))
    assert await bench.bodies(second.session_id) == []
    assert (await bench.stored_turn(turn.turn_id)).state == "running"


@durable
async def test_sequence_goes_on_after_opening_again(bench: Bench) -> None:
    session = await bench.new_session()
    for n in range(3):
        await bench.append(session.session_id, f"{n}")
        await bench.reopen()
    assert await bench.bodies(session.session_id) == ["0", "1", "2"]
