"""Connections and realms, through every door."""

import pytest
from tests.behaviours.conftest import House
from tests.behaviours.promises import except_over, holds
from tests.behaviours.surfaces import Refused
from tests.support.scripted_provider import Gate

from meerkatd.sessions.admission import Admission


async def refused(coroutine) -> Refused:
    with pytest.raises(Refused) as error:
        await coroutine
    return error.value


@holds("CON-1")
@except_over(rpc="it greets the daemon itself, before what its client asks first")
async def test_the_first_request_is_initialize_and_it_comes_once(house: House):
    async with house.connect(greet=False) as peer:
        assert (await refused(peer.call("session/list"))).code == "INVALID_REQUEST"
        await peer.call("initialize")
        assert (await refused(peer.call("initialize"))).code == "INVALID_REQUEST"
        assert await peer.call("session/list") == {"sessions": []}


@holds("CON-2")
async def test_a_connection_without_a_realm_gets_one_of_its_own(house: House):
    async with house.connect(greet=False) as one, house.connect(greet=False) as two:
        first, second = await one.call("initialize"), await two.call("initialize")
        assert first["realm_id"] != second["realm_id"]
        assert first["realm_id"].startswith("realm-")
        assert first["origin"] == "generated"


@holds("CON-2")
@except_over(tcp="pages name no folders", rpc="its command line names a realm, and no folder")
async def test_a_workspace_gives_the_same_realm_every_time(house: House):
    async with house.connect(greet=False) as one, house.connect(greet=False) as two:
        first = await one.call("initialize", workspace="/srv/demo")
        second = await two.call("initialize", workspace="/srv/demo/../demo")
        assert first["realm_id"] == second["realm_id"] == "ws-60f704c1f5e2cc03"


@holds("CON-2")
@except_over(rpc="its command line refuses it, before there is a connection")
async def test_a_realm_and_isolated_together_are_refused(house: House):
    async with house.connect(greet=False) as peer:
        error = await refused(peer.call("initialize", realm_id="r", isolated=True))
        assert error.code == "INVALID_PARAMS"
        assert "isolated" in error.message


@pytest.mark.parametrize(
    "realm_id", ["", "-x", "a b", "a:b", "../x", "x" * 65, "é", "0190f000-0000-7000-8000-000000000000"]
)
@holds("CON-2")
async def test_a_bad_realm_id_is_refused_with_the_rule(house: House, realm_id: str):
    async with house.connect(greet=False) as peer:
        error = await refused(peer.call("initialize", realm_id=realm_id))
        assert error.code == "INVALID_PARAMS"
        assert "1-64 characters" in error.message


@holds("CON-3")
async def test_what_is_unknown_is_refused_by_name(house: House):
    async with house.connect() as peer:
        assert (await refused(peer.call("session/lst"))).code == "METHOD_NOT_FOUND"
        error = await refused(peer.call("session/create", promt="x"))
        assert error.code == "INVALID_PARAMS"
        assert "promt" in error.message
        assert "prompt" in error.message
        error = await refused(peer.call("session/list", limit="10"))
        assert error.details["field"] == "limit"
        error = await refused(peer.call("session/history", session_id="last", offset=-1))
        assert error.details["field"] == "offset"
        error = await refused(peer.call("session/list", limit=1001))
        assert error.details["field"] == "limit"
        error = await refused(peer.call("session/create", prompt="a\0b"))
        assert error.details["field"] == "prompt"
        assert house.realm_folders() == []


@holds("CON-4")
async def test_a_long_request_does_not_hold_up_a_short_one(house: House):
    gate = Gate()
    house.provider.answers(gate, "x")
    async with house.connect() as peer:
        turn = await peer.begin("session/create", prompt="hello")
        await gate.reached.wait()
        assert len((await peer.call("session/list"))["sessions"]) == 1
        gate.open()
        assert (await peer.reply(turn))["text"] == "x"


@holds("CON-5")
async def test_cancelling_the_request_of_a_turn_interrupts_it(house: House):
    gate = Gate()
    house.provider.answers("par", gate)
    async with house.connect() as peer:
        request = await peer.begin("session/create", prompt="hello")
        await gate.reached.wait()
        await peer.notify("cancel", request_id=request)
        error = await refused(peer.reply(request))
        assert error.code == "REQUEST_CANCELLED"
        history = await peer.call("session/history", session_id=error.details["session_id"])
        assert history["messages"][1]["stop_reason"] == "cancelled"


@holds("CON-5")
async def test_cancelling_the_request_of_a_turn_that_is_just_beginning_interrupts_it(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    """From its write-ahead on the turn cannot be broken off with the request: it would run on without anybody."""
    writing, write_ahead = Gate(), Admission._write_ahead

    async def write_slowly(*arguments):
        await writing.wait()
        await write_ahead(*arguments)

    monkeypatch.setattr(Admission, "_write_ahead", write_slowly)
    async with house.connect() as peer:
        session_id = (await peer.call("session/create", prompt="hello", initial_turn="deferred"))["session_id"]
        house.provider.answers(Gate())
        request = await peer.begin("turn/start", session_id=session_id, prompt="go")
        await writing.reached.wait()
        await peer.notify("cancel", request_id=request)
        # Requests are taken in order: when this one is answered, the cancel was seen.
        await peer.call("realm/current")
        writing.open()
        error = await refused(peer.reply(request))
        assert (error.code, error.details["session_id"]) == ("REQUEST_CANCELLED", session_id)
        assert (await peer.call("turn/read", session_id=session_id))["state"] == "interrupted"


@holds("REA-1")
async def test_the_same_realm_is_shared_and_another_one_is_not(house: House):
    house.provider.answers("hi")
    async with (
        house.connect(realm_id="shared") as one,
        house.connect(realm_id="shared") as two,
        house.connect(realm_id="other") as three,
    ):
        created = await one.call("session/create", prompt="hello")
        assert [row["session_id"] for row in (await two.call("session/list"))["sessions"]] == [created["session_id"]]
        assert (await three.call("session/list"))["sessions"] == []
        error = await refused(three.call("session/read", session_id=created["session_id"]))
        assert error.code == "SESSION_NOT_FOUND"


@holds("REA-2")
async def test_reading_in_a_realm_that_does_not_exist_leaves_nothing_on_the_disk(house: House):
    async with house.connect(realm_id="fresh") as peer:
        assert (await peer.call("session/list"))["sessions"] == []
        assert (await peer.call("realm/current"))["exists"] is False
        await refused(peer.call("session/read", session_id="last"))
        assert house.realm_folders() == []
        house.provider.answers("hi")
        await peer.call("session/create", prompt="hello")
        assert len(house.realm_folders()) == 1
        current = await peer.call("realm/current")
        assert (current["exists"], current["backend"], current["origin"]) == (True, "sqlite", "explicit")


@holds("REA-3")
async def test_a_hint_that_contradicts_the_manifest_is_refused(house: House):
    house.provider.answers("hi")
    async with house.connect(realm_id="pinned", backend="sqlite") as peer:
        await peer.call("session/create", prompt="hello")
    async with house.connect(greet=False) as peer:
        error = await refused(peer.call("initialize", realm_id="pinned", backend="memory"))
        assert error.code == "REALM_BACKEND_MISMATCH"
        assert (error.details["existing"], error.details["requested"]) == ("sqlite", "memory")
    async with house.connect(greet=False) as peer:
        assert (await refused(peer.call("initialize", realm_id="new", backend="redb"))).code == "BACKEND_UNAVAILABLE"
    async with house.connect(greet=False) as peer:
        assert (await peer.call("initialize", realm_id="pinned", backend="sqlite"))["backend"] == "sqlite"
