"""Events by request, through every door."""

from tests.behaviours.conftest import House
from tests.behaviours.promises import PAYLOADS, TYPED, except_over, holds
from tests.behaviours.test_connections import refused
from tests.behaviours.test_sessions import create
from tests.support.scripted_provider import Gate


def scope(session_id: str = "last") -> dict[str, str]:
    return {"type": "session", "session_id": session_id}


def cursor(sequence: int, session_id: str = "last") -> dict[str, object]:
    return {"scope": scope(session_id), "sequence": sequence}


@holds("EVE-5")
@except_over(
    mcp="it compares with events that come unasked: tests/mcp_shim",
    rest="as for mcp",
    py=TYPED,
    py_blocking=TYPED,
    ts=PAYLOADS,
)
async def test_events_are_listed_after_any_cursor_in_pages(house: House):
    async with house.connect() as peer:
        session_id = await create(house, peer)
        sent = [each["event"] for each in peer.seen("session/event")]
        page = await peer.call("events/list_since", scope=scope())
        assert page["contract_version"] == {"major": 0, "minor": 9, "patch": 6}
        assert page["scope"] == scope(session_id)
        assert page["from_cursor"] == cursor(0, session_id)
        assert page["latest_cursor"] == cursor(len(sent), session_id)
        assert page["has_more"] is False
        assert [row["event"] for row in page["events"]] == [event["payload"] for event in sent]
        assert page["events"][2]["cursor"] == page["events"][2]["event_id"] == cursor(3, session_id)
        assert page["events"][0]["source"] == sent[0]["source"]
        assert page["events"][0]["timestamp_ms"] == sent[0]["timestamp_ms"]
        some = await peer.call("events/list_since", scope=scope(), cursor=cursor(2), limit=3)
        assert some["events"] == page["events"][2:5]
        assert some["has_more"] is True
        latest = (await peer.call("events/latest_cursor", scope=scope()))["cursor"]
        assert latest == page["latest_cursor"]
        rest = await peer.call("events/list_since", scope=scope(), cursor=latest)
        assert (rest["events"], rest["has_more"], rest["from_cursor"]) == ([], False, latest)


@holds("EVE-5")
async def test_events_of_a_running_turn_are_listed_without_waiting(house: House):
    async with house.connect(realm_id="r") as one, house.connect(realm_id="r") as two:
        gate = Gate()
        house.provider.answers("half", gate)
        running = await one.begin("session/create", prompt="go")
        await gate.reached.wait()
        page = await two.call("events/list_since", scope=scope())
        assert [row["event"]["type"] for row in page["events"]] == ["run_started", "turn_started", "text_delta"]
        gate.open()
        await one.reply(running)


@holds("EVE-5")
async def test_what_is_gone_is_told_by_a_row(house: House):
    async with house.connect() as peer:
        await create(house, peer)
        for answer in "ab":
            house.provider.answers(answer)
            await peer.call("turn/start", session_id="last", prompt="go")
        first, *rest = (await peer.call("events/list_since", scope=scope(), cursor=cursor(1)))["events"]
        assert first["event"]["type"] == "stream_truncated"
        assert first["event"]["reason"]["dropped"] == first["cursor"]["sequence"] - 1
        assert rest[0]["cursor"]["sequence"] == first["cursor"]["sequence"] + 1


@holds("EVE-5")
@except_over(mcp="a cursor is a number here: tests/mcp_shim", rest="a cursor is a number here: tests/rest")
async def test_a_cursor_of_the_future_or_of_another_session_is_refused(house: House):
    async with house.connect() as peer:
        other = await create(house, peer)
        latest = (await peer.call("events/latest_cursor", scope=scope()))["cursor"]["sequence"]
        await create(house, peer)
        error = await refused(peer.call("events/list_since", scope=scope(), cursor=cursor(latest + 1)))
        assert (error.code, error.number, error.details["reason"]) == ("STALE_CURSOR", -32027, "ahead_of_latest")
        error = await refused(peer.call("events/list_since", scope=scope(), cursor=cursor(1, other)))
        assert (error.code, error.details["reason"]) == ("STALE_CURSOR", "scope_mismatch")
        error = await refused(peer.call("events/latest_cursor", scope={"type": "mob", "session_id": other}))
        assert error.code == "INVALID_PARAMS"
        error = await refused(peer.call("events/latest_cursor", scope=scope("~9")))
        assert error.code == "SESSION_NOT_FOUND"


@holds("EVE-6")
async def test_a_snapshot_is_a_session_with_its_cursor(house: House):
    async with house.connect() as peer:
        session_id = await create(house, peer)
        taken = await peer.call("events/snapshot", scope=scope())
        assert taken["snapshot"] == {"type": "session", "session": await peer.call("session/read", session_id="last")}
        assert taken["scope"] == scope(session_id)
        house.provider.answers("more")
        await peer.call("turn/start", session_id="last", prompt="go")
        following = await peer.call("events/list_since", scope=scope(), cursor=taken["cursor"])
        assert following["events"][0]["event"]["type"] == "run_started"
        assert following["events"][-1]["event"]["type"] == "run_completed"


@holds("EVE-7")
async def test_cursors_are_exact_after_a_restart(house: House):
    """What is reserved for a crash is given back by a turn's end: a reader that comes back has missed nothing."""
    async with house.connect(realm_id="r") as peer:
        await create(house, peer)
        before = (await peer.call("events/latest_cursor", scope=scope()))["cursor"]
    await house.restart()
    async with house.connect(realm_id="r") as peer:
        assert (await peer.call("events/latest_cursor", scope=scope()))["cursor"] == before
        assert (await peer.call("events/list_since", scope=scope(), cursor=before))["events"] == []
        gone = (await peer.call("events/list_since", scope=scope()))["events"]
        assert [row["event"]["reason"]["dropped"] for row in gone] == [before["sequence"]]
        house.provider.answers("on")
        await peer.call("turn/start", session_id="last", prompt="go")
        following = (await peer.call("events/list_since", scope=scope(), cursor=before))["events"]
        assert following[0]["cursor"]["sequence"] == before["sequence"] + 1
        assert following[0]["event"]["type"] == "run_started"
