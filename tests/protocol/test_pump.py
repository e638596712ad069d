"""One connection at work: order, back-pressure, cancelling, limits and ends."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from tests.protocol.protocol_door import Door, RawClient, open_door
from trio.testing import wait_all_tasks_blocked

from meerkat_client.wire.framing import encode_frame
from meerkat_client.wire.limits import (
    FRAME_PROGRESS_SECONDS,
    HANDSHAKE_SECONDS,
    MAX_DISCARD,
    MAX_IN_FLIGHT,
    MAX_REPLY_FRAME,
    MAX_REQUEST_FRAME,
    OUTBOX_HIGH_WATER,
    WRITE_STALL_SECONDS,
)
from meerkatd.protocol.port import PeerGone, PeerRefused

Code = Callable[[Any], str]


async def test_a_request_is_answered_with_its_own_id(door: Door) -> None:
    client = await door.ready()
    assert await client.call("abc", "echo", {"a": 1}) == {"jsonrpc": "2.0", "id": "abc", "result": {"a": 1}}


async def test_replies_may_overtake_one_another(door: Door) -> None:
    client = await door.ready()
    await client.request(1, "hold")
    assert (await client.receive())["method"] == "holding"
    assert (await client.call(2, "echo"))["id"] == 2
    await client.request(3, "release")
    assert {(await client.receive())["id"] for _ in range(2)} == {1, 3}


async def test_requests_that_arrive_together_are_all_answered(door: Door) -> None:
    client = await door.ready()
    for number in range(1, 21):
        await client.request(number, "echo" if number % 2 else "count", {"to": 1})
    messages = [await client.receive() for _ in range(30)]
    assert sorted(message["id"] for message in messages if "id" in message) == list(range(1, 21))


async def test_notifications_of_a_handler_precede_its_reply(door: Door) -> None:
    client = await door.ready()
    await client.request(1, "count", {"to": 50})
    seen = [await client.receive() for _ in range(51)]
    assert [message["params"]["number"] for message in seen[:50]] == list(range(50))
    assert seen[50]["result"] == 50


async def test_order_holds_while_the_client_reads_slowly(door: Door) -> None:
    """More than the outbox holds: the handler waits for the reader, and nothing is lost or swapped."""
    client = await door.ready()
    padding = 100_000
    count = 4 * OUTBOX_HIGH_WATER // padding
    await client.request(1, "count", {"to": count, "padding": padding})
    await wait_all_tasks_blocked()
    assert door.pumps[0]._outbox.size < OUTBOX_HIGH_WATER + 2 * padding
    seen = [await client.receive() for _ in range(count + 1)]
    assert [message["params"]["number"] for message in seen[:-1]] == list(range(count))
    assert seen[-1]["result"] == count


async def test_several_senders_that_wait_for_room_are_all_served(door: Door) -> None:
    """A drained outbox makes no further progress, so who was woken has to wake the next."""
    client = await door.ready()
    for number in range(1, 9):
        await client.request(number, "big", {"size": 2 * OUTBOX_HIGH_WATER})
    await wait_all_tasks_blocked()
    ids = {(await client.receive())["id"] for _ in range(8)}
    assert ids == set(range(1, 9))


async def test_a_stuck_reader_is_closed_and_harms_nobody(autojump_clock: Any, door: Door) -> None:
    stuck, other = await door.ready(), await door.ready()
    await stuck.request(1, "count", {"to": 1000, "padding": 100_000})
    await trio.sleep(WRITE_STALL_SECONDS / 2)
    assert (await other.call(1, "echo"))["id"] == 1
    assert door.dispatcher.ended == []
    await trio.sleep(WRITE_STALL_SECONDS)
    assert door.dispatcher.ended == ["c1"]
    assert (await other.call(2, "echo"))["id"] == 2


async def test_the_first_request_must_be_initialize(door: Door, code: Code) -> None:
    client = door.raw()
    assert code(await client.call(1, "echo")) == "INVALID_REQUEST"
    assert "result" in await client.call(2, "initialize")


async def test_a_malformed_frame_costs_that_frame_only(door: Door, code: Code) -> None:
    client = await door.ready()
    await client.stream.send_all((3).to_bytes(4) + b"\xff\xff\xff")
    reply = await client.receive()
    assert (reply["id"], code(reply)) == (None, "PARSE_ERROR")
    assert "result" in await client.call(1, "echo")


async def test_an_oversized_request_is_refused_and_the_connection_goes_on(door: Door, code: Code) -> None:
    client = await door.ready()
    await client.stream.send_all((MAX_REQUEST_FRAME + 1).to_bytes(4) + bytes(MAX_REQUEST_FRAME + 1))
    reply = await client.receive()
    assert (reply["id"], code(reply)) == (None, "REQUEST_TOO_LARGE")
    assert reply["error"]["data"]["details"]["limit"] == MAX_REQUEST_FRAME
    assert "result" in await client.call(1, "echo")


async def test_a_request_too_large_to_skip_ends_the_connection_with_a_reason(door: Door, code: Code) -> None:
    client = await door.ready()
    await client.stream.send_all((MAX_DISCARD + 1).to_bytes(4))
    assert code(await client.receive()) == "REQUEST_TOO_LARGE"
    assert await client.receive() is None


async def test_a_reply_above_its_limit_becomes_an_error(door: Door, code: Code) -> None:
    client = await door.ready()
    assert code(await client.call(1, "big", {"size": MAX_REPLY_FRAME})) == "REQUEST_TOO_LARGE"
    assert "result" in await client.call(2, "echo")


async def test_an_id_in_flight_is_refused(door: Door, code: Code) -> None:
    client = await door.ready()
    await client.request(1, "wait")
    assert code(await client.call(1, "echo")) == "DUPLICATE_INPUT"


async def test_more_than_the_limit_in_flight_is_refused_at_once(door: Door, code: Code) -> None:
    client = await door.ready()
    for number in range(1, MAX_IN_FLIGHT + 1):
        await client.request(number, "wait")
    assert code(await client.call("more", "echo")) == "OVERLOADED"
    await client.send({"jsonrpc": "2.0", "method": "cancel", "params": {"request_id": 5}})
    assert (await client.receive())["id"] == 5
    assert "result" in await client.call("more", "echo")


async def test_cancel_ends_the_handler_and_is_answered(door: Door, code: Code) -> None:
    client = await door.ready()
    await client.request("w", "wait")
    await door.dispatcher.waiting.wait()
    await client.send({"jsonrpc": "2.0", "method": "cancel", "params": {"request_id": "w"}})
    reply = await client.receive()
    assert (reply["id"], code(reply)) == ("w", "REQUEST_CANCELLED")
    assert door.dispatcher.cancelled == ["w"]


async def test_a_handler_may_take_cancel_into_its_own_hands(door: Door) -> None:
    client = await door.ready()
    await client.request(1, "hold")
    await client.receive()
    (call,) = door.pumps[0]._state.calls.values()
    call.on_cancel = door.dispatcher.release.set
    await client.send({"jsonrpc": "2.0", "method": "cancel", "params": {"request_id": 1}})
    assert (await client.receive())["result"] == "released"


async def test_handlers_are_cancelled_before_the_methods_side_hears_of_the_end(door: Door) -> None:
    client = await door.ready()
    await client.request(1, "wait")
    await door.dispatcher.waiting.wait()
    await client.stream.aclose()
    with trio.fail_after(5):
        while not door.dispatcher.ended:
            await trio.lowlevel.checkpoint()
    assert door.dispatcher.cancelled == ["1"]


async def test_a_connection_closes_after_the_reply_when_asked_to(door: Door) -> None:
    client = await door.ready()
    assert (await client.call(1, "close"))["result"] == "bye"
    assert await client.receive() is None


async def test_the_daemon_asks_and_the_client_answers(door: Door) -> None:
    client = await door.ready()
    await client.request(1, "ask", {"a": 1})
    question = await client.receive()
    assert (question["id"], question["method"], question["params"]) == ("srv-1", "question", {"a": 1})
    await client.send({"jsonrpc": "2.0", "id": "srv-99", "result": "to nobody"})
    await client.send({"jsonrpc": "2.0", "id": question["id"], "result": "yes"})
    assert (await client.receive())["result"] == "yes"


async def ask(door: Door, timeout: float = 5) -> Any:
    return await door.pumps[0].request("question", {}, timeout=timeout)


async def test_a_refused_question_raises_its_text(door: Door) -> None:
    client = await door.ready()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_refuse_one, client)
        with pytest.raises(PeerRefused, match="not today"):
            await ask(door)


async def _refuse_one(client: RawClient) -> None:
    question = await client.receive()
    await client.send({"jsonrpc": "2.0", "id": question["id"], "error": {"code": 1, "message": "not today"}})


async def test_an_unanswered_question_times_out(autojump_clock: Any, door: Door) -> None:
    client = await door.ready()
    with pytest.raises(TimeoutError):
        await ask(door, timeout=3)
    assert (await client.receive())["method"] == "question"


async def test_a_question_ends_with_the_connection(door: Door) -> None:
    """The asker may be a turn, which lives longer than the connection and must hear of it."""
    client = await door.ready()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_leave_after_one, client)
        with pytest.raises(PeerGone):
            await ask(door)
    with pytest.raises(PeerGone):
        await door.pumps[0].notify("late", {})


async def _leave_after_one(client: RawClient) -> None:
    await client.receive()
    await client.stream.aclose()


async def test_background_tasks_end_with_the_connection(door: Door) -> None:
    client = await door.ready()
    ended = trio.Event()

    async def background() -> None:
        try:
            while True:
                await door.pumps[0].notify("tick", {})
                await trio.lowlevel.checkpoint()
        finally:
            ended.set()

    door.pumps[0].start(background, name="ticker")
    await client.receive()
    await client.stream.aclose()
    with trio.fail_after(5):
        await ended.wait()
        while not door.dispatcher.ended:
            await trio.lowlevel.checkpoint()
    with pytest.raises(PeerGone):
        door.pumps[0].start(background, name="late")


async def test_a_silent_client_is_closed_with_a_reason(autojump_clock: Any, door: Door, code: Code) -> None:
    client = door.raw()
    assert code(await client.receive()) == "INVALID_REQUEST"
    assert trio.current_time() >= HANDSHAKE_SECONDS
    assert await client.receive() is None


async def test_an_initialized_client_may_be_silent(autojump_clock: Any, door: Door) -> None:
    client = await door.ready()
    await trio.sleep(80_000)
    assert "result" in await client.call(1, "echo")


async def test_a_frame_that_drips_is_cut_off(autojump_clock: Any, door: Door, code: Code) -> None:
    client = await door.ready()
    await client.stream.send_all((1000).to_bytes(4))
    for _ in range(int(FRAME_PROGRESS_SECONDS) - 1):
        await trio.sleep(1)
        await client.stream.send_all(b"x")
    assert door.dispatcher.ended == []
    await trio.sleep(2)
    assert code(await client.receive()) == "INVALID_REQUEST"
    assert await client.receive() is None


async def test_quiet_waits_for_calls_and_their_replies(door: Door) -> None:
    client = await door.ready()
    pump = door.pumps[0]
    await client.request(1, "hold")
    await client.receive()
    assert pump.busy
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump.quiet)
        await wait_all_tasks_blocked()
        door.dispatcher.release.set()
    assert not pump.busy
    assert (await client.receive())["result"] == "released"


async def test_a_handler_that_breaks_its_promise_ends_its_connection_only(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.lifecycle import echo_daemon

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(echo_daemon.HANDLERS, "broken", broken)
    client, other = await door.ready(), await door.ready()
    assert await client.call(1, "broken") is None
    assert "a connection failed" in caplog.text
    assert "result" in await other.call(1, "echo")


async def test_what_the_door_read_before_is_not_lost() -> None:

    first = encode_frame({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {}}, MAX_REQUEST_FRAME)
    async with open_door() as door:
        client = RawClient(door.open(received=first[:5]))
        await client.stream.send_all(first[5:])
        assert (await client.receive())["id"] == 0


async def test_cancelling_from_outside_ends_everything() -> None:
    async with open_door() as door:
        client = await door.ready()
        await client.request(1, "wait")
        await door.dispatcher.waiting.wait()
    assert door.dispatcher.cancelled == ["1"]
    assert door.dispatcher.ended == ["c1"]
    assert await client.receive() is None
