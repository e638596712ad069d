"""Events, through every door."""

from tests.behaviours.conftest import House
from tests.behaviours.promises import PAYLOADS, except_over, holds
from tests.behaviours.test_connections import refused
from tests.behaviours.test_sessions import create
from tests.support.scripted_provider import Gate


def kinds(notifications) -> list[str]:
    return [each["event"]["payload"]["type"] for each in notifications]


def text(notifications) -> str:
    return "".join(each["event"]["payload"].get("delta", "") for each in notifications)


@holds("EVE-1")
@except_over(ts=PAYLOADS)
async def test_events_of_a_turn_come_to_its_starter_before_the_response(house: House):
    async with house.connect() as peer:
        house.provider.answers("a", "b")
        result = await peer.call("session/create", prompt="hello")
        names = [name for name, _ in peer.order]
        assert names[-1] == "reply"
        events = peer.seen("session/event")
        assert len(events) == len(names) - 2
        assert kinds(events) == [
            "run_started",
            "turn_started",
            "text_delta",
            "text_delta",
            "text_complete",
            "turn_completed",
            "run_completed",
        ]
        assert [each["event"]["seq"] for each in events] == list(range(1, 8))
        assert {each["session_id"] for each in events} == {result["session_id"]}
        assert events[0]["event"]["source"] == {"type": "session", "session_id": result["session_id"]}
        assert result["cursor"] == 7


@holds("EVE-1")
async def test_no_events_are_sent_to_who_wants_none(house: House):
    async with house.connect() as peer:
        house.provider.answers("a")
        await peer.call("session/create", prompt="hello", session_events=False)
        assert peer.seen("session/event") == []


@holds("EVE-2", "EVE-4")
async def test_a_stream_opened_in_the_middle_replays_and_follows(house: House):
    async with house.connect(realm_id="r") as one, house.connect(realm_id="r") as two:
        await create(house, one)
        gate = Gate()
        house.provider.answers("first ", gate, "second")
        running = await one.begin("turn/start", session_id="last", prompt="go")
        await gate.reached.wait()
        opened = await two.call("session/stream_open", session_id="last", until="turn_end")
        await two.wait_for(lambda: text(two.seen("session/stream_event")) == "first ")
        gate.open()
        await one.reply(running)
        await two.wait_for(lambda: two.seen("session/stream_end"))
        events = two.seen("session/stream_event")
        assert text(events) == "first second"
        assert [each["sequence"] for each in events] == list(range(1, len(events) + 1))
        assert {each["stream_id"] for each in events} == {opened["stream_id"]}
        assert kinds(events)[0] == "run_started"
        assert kinds(events)[-1] == "run_completed"
        assert two.order[-1][0] == "session/stream_end"
        assert two.seen("session/stream_end")[0]["outcome"] == "remote_end"


@holds("EVE-3")
@except_over(mcp="it compares with events that come unasked", rest="as for mcp", ts=PAYLOADS)
async def test_a_stream_resumes_after_any_cursor(house: House):
    async with house.connect(realm_id="r") as peer:
        await create(house, peer)
        house.provider.answers("a", "b", "c")
        result = await peer.call("turn/start", session_id="last", prompt="go", session_events=True)
        whole = [each["event"] for each in peer.seen("session/event")]
        for place in range(len(whole)):
            async with house.connect(realm_id="r") as reader:
                cursor = whole[place]["seq"]
                await reader.call("session/stream_open", session_id="last", cursor=cursor)
                after = [event for event in whole if event["seq"] > cursor]
                await reader.wait_for(lambda: len(reader.seen("session/stream_event")) >= len(after))  # noqa: B023
                assert [each["event"] for each in reader.seen("session/stream_event")] == after
        error = await refused(peer.call("session/stream_open", session_id="last", cursor=result["cursor"] + 1))
        assert error.code == "STALE_CURSOR"


@holds("EVE-3")
async def test_a_reader_that_comes_back_after_the_turn_gets_the_rest_of_it_and_the_end(house: House):
    async with house.connect(realm_id="r") as peer:
        await create(house, peer)
        house.provider.answers("a", "b")
        result = await peer.call("turn/start", session_id="last", prompt="go", session_events=False)
        await peer.call("session/stream_open", session_id="last", cursor=result["cursor"] - 3, until="turn_end")
        await peer.wait_for(lambda: peer.seen("session/stream_end"))
        assert kinds(peer.seen("session/stream_event")) == ["text_complete", "turn_completed", "run_completed"]
        assert peer.seen("session/stream_end")[0]["outcome"] == "remote_end"


@holds("EVE-3")
async def test_a_cursor_from_before_what_is_kept_is_told_how_much_is_missing(house: House):
    async with house.connect(realm_id="r") as peer:
        await create(house, peer)
        for answer in "abc":
            house.provider.answers(answer)
            await peer.call("turn/start", session_id="last", prompt="go")
        await peer.call("session/stream_open", session_id="last", cursor=0)
        await peer.wait_for(lambda: peer.seen("session/stream_event"))
        first = peer.seen("session/stream_event")[0]["event"]
        assert first["payload"]["type"] == "stream_truncated"
        assert first["payload"]["reason"]["dropped"] == first["seq"]


@holds("EVE-4")
@except_over(rest="a client closes its connection: tests/rest")
async def test_a_stream_can_be_closed_and_closing_twice_is_told(house: House):
    async with house.connect(realm_id="r") as peer:
        await create(house, peer)
        stream_id = (await peer.call("session/stream_open", session_id="last"))["stream_id"]
        assert (await peer.call("session/stream_close", stream_id=stream_id))["already_closed"] is False
        await peer.wait_for(lambda: peer.seen("session/stream_end"))
        assert peer.seen("session/stream_end")[0]["outcome"] == "explicit_close"
        assert (await peer.call("session/stream_close", stream_id=stream_id))["already_closed"] is True
        assert (await peer.call("session/stream_close", stream_id="never"))["already_closed"] is False
        house.provider.answers("x")
        await peer.call("turn/start", session_id="last", prompt="go", session_events=False)
        assert peer.seen("session/stream_event") == []


@holds("EVE-4")
@except_over(mcp="agents do not delete realms")
async def test_a_stream_ends_with_its_realm(house: House):
    """Otherwise its reader would wait for events that can no longer come."""
    async with house.connect(realm_id="r") as reader, house.ruler(realm_id="other") as other:
        session_id = await create(house, reader)
        await reader.call("session/stream_open", session_id=session_id)
        await other.call("realm/delete", realm_id="r", force=True)
        await reader.wait_for(lambda: reader.seen("session/stream_end"))
        assert reader.seen("session/stream_end")[0]["outcome"] == "remote_end"
