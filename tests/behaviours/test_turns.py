"""Turns and tools, through every door."""

import base64

from tests.behaviours.conftest import House
from tests.behaviours.promises import except_over, holds
from tests.behaviours.test_connections import refused
from tests.behaviours.test_sessions import create
from tests.support.scripted_provider import Gate, tool_call

TOOL = {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}


@holds("TUR-1")
async def test_a_second_turn_is_busy_and_names_the_holder(house: House):
    async with house.connect(realm_id="r") as one, house.connect(realm_id="r") as two:
        await create(house, one)
        gate = Gate()
        house.provider.answers(gate, "x")
        running = await one.begin("turn/start", session_id="last", prompt="go")
        await gate.reached.wait()
        error = await refused(two.call("turn/start", session_id="last", prompt="me too"))
        assert (error.code, error.number) == ("SESSION_BUSY", -32002)
        assert error.details["client"] == one.client
        assert error.details["retryable"] is True
        assert {"turn_id", "started_at_ms", "surface", "cursor", "hint"} <= set(error.details)
        gate.open()
        assert (await one.reply(running))["turn_id"] == error.details["turn_id"]


@holds("TUR-2")
async def test_interrupt_works_from_another_connection_and_answers_after_the_commit(house: House):
    async with house.connect(realm_id="r") as one, house.connect(realm_id="r") as two:
        await create(house, one)
        gate = Gate()
        house.provider.answers("half", gate)
        running = await one.begin("turn/start", session_id="last", prompt="go")
        await gate.reached.wait()
        reply = await two.call("turn/interrupt", session_id="last")
        assert (reply["interrupted"], reply["outcome"]) == (True, "interrupted")
        history = await two.call("session/history", session_id="last")
        assert [m["role"] for m in history["messages"]][2:] == ["user", "block_assistant", "system_notice"]
        error = await refused(one.reply(running))
        assert (error.code, error.number) == ("REQUEST_CANCELLED", -32005)
        assert error.details["text"] == "half"
        assert (await two.call("turn/read", session_id="last"))["state"] == "interrupted"


@holds("TUR-3")
async def test_interrupt_of_an_idle_session_is_refused(house: House):
    async with house.connect() as peer:
        await create(house, peer)
        error = await refused(peer.call("turn/interrupt", session_id="last"))
        assert error.code == "SESSION_NOT_RUNNING"


@holds("TUR-4")
@except_over(ts="a subscription does not tell whose turn it follows: client/typescript/test/reconnect.test.ts")
async def test_a_turn_outlives_the_connection_that_started_it(house: House):
    gate = Gate()
    async with house.connect(realm_id="r") as other:
        async with house.connect(realm_id="r") as starter:
            await create(house, starter)
            house.provider.answers("on ", gate, "and on")
            await starter.begin("turn/start", session_id="last", prompt="go")
            await gate.reached.wait()
        assert (await other.call("session/read", session_id="last"))["is_active"] is True
        opened = await other.call("session/stream_open", session_id="last", until="turn_end")
        gate.open()
        await other.wait_for(lambda: other.seen("session/stream_end"))
        assert opened["active_turn"]["client"] == other.client
        assert (await other.call("session/read", session_id="last"))["last_assistant_text"] == "on and on"


@holds("TUR-5")
async def test_an_idempotency_key_gives_the_first_outcome_again(house: House):
    async with house.connect(realm_id="r") as one, house.connect(realm_id="r") as two:
        house.provider.answers("once")
        first = await one.call("session/create", prompt="hello", idempotency_key="k1")
        assert await two.call("session/create", prompt="hello", idempotency_key="k1") == first
        error = await refused(two.call("session/create", prompt="other", idempotency_key="k1"))
        assert (error.code, error.number) == ("DUPLICATE_INPUT", -32004)
        house.provider.answers("turn")
        turn = await one.call("turn/start", session_id="last", prompt="x", idempotency_key="k2")
        by_id = await two.call("turn/start", session_id=first["session_id"], prompt="x", idempotency_key="k2")
        assert by_id == turn
        assert len(house.provider.requests) == 2


@holds("TOO-1")
async def test_a_tool_is_asked_of_the_connection_that_registered_it(house: House):
    async with house.connect(realm_id="r") as host, house.connect(realm_id="r") as starter:
        host.tool_answer = {"content": "a meerkat", "is_error": False}
        assert await host.call("tools/register", tools=[TOOL]) == {"registered": 1}
        house.provider.answers(tool_call("look", where="up"))
        house.provider.answers("I saw it")
        result = await starter.call("session/create", prompt="what is there?")
        assert (result["text"], result["tool_calls"], result["turns"]) == ("I saw it", 1, 2)
        assert host.asked[0]["method"] == "tool/execute"
        assert host.asked[0]["params"] == {"tool_use_id": "call_1", "name": "look", "arguments": {"where": "up"}}
        history = await host.call("session/history", session_id="last")
        assert history["messages"][2]["results"][0]["content"] == "a meerkat"


@holds("TOO-2")
async def test_a_tool_whose_client_vanishes_is_told_to_the_model(house: House):
    async with house.connect(realm_id="r") as starter:
        async with house.connect(realm_id="r") as host:
            await host.call("tools/register", tools=[TOOL])
            house.provider.answers(tool_call("look"))
            house.provider.answers("never mind")
            running = await starter.begin("session/create", prompt="what is there?")
            await host.wait_for(lambda: host.asked)
        assert (await starter.reply(running))["text"] == "never mind"
        history = await starter.call("session/history", session_id="last")
        assert history["messages"][2]["results"][0]["is_error"] is True
        assert house.provider.requests[1].tools == []


@holds("DAE-1")
async def test_a_daemon_that_stops_lets_turns_end_and_takes_no_new_ones(house: House):
    async with house.connect(realm_id="r") as peer:
        gate = Gate()
        house.provider.answers("to the ", gate, "end")
        running = await peer.begin("session/create", prompt="go")
        await gate.reached.wait()
        stopping = await house.stop()
        assert stopping["active_turns"] == 1
        assert (await refused(peer.call("session/create", prompt="no"))).code == "SHUTTING_DOWN"
        gate.open()
        assert (await peer.reply(running))["text"] == "to the end"
        await house.ended.wait()


@holds("DAE-1")
async def test_a_turn_that_does_not_end_by_the_deadline_is_interrupted_and_committed(house: House):
    async with house.connect(realm_id="r") as peer:
        gate = Gate()
        house.provider.answers("so far", gate)
        running = await peer.begin("session/create", prompt="go")
        await gate.reached.wait()
        await house.stop(deadline_seconds=0)
        error = await refused(peer.reply(running))
        assert error.code == "REQUEST_CANCELLED"
        assert error.details["text"] == "so far"
        await house.ended.wait()


@holds("TUR-6")
async def test_an_answer_has_to_fit_its_schema(house: House):
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    async with house.connect(realm_id="r") as peer:
        error = await refused(peer.call("session/create", prompt="x", output_schema={"type": "strin"}))
        assert (error.code, error.details["field"]) == ("INVALID_PARAMS", "output_schema.type")
        assert (await peer.call("session/list"))["sessions"] == []
        for answer in ("four", '{"age": 4}', '{"age": "x"}'):
            house.provider.answers(answer)
        result = await peer.call("session/create", prompt="how old?", output_schema=schema)
        assert (result["structured_output"], result["turns"]) == ({"age": 4}, 2)
        again = peer.call("turn/start", session_id="last", prompt="and now?", structured_output_retries=0)
        error = await refused(again)
        assert (error.code, error.details["errors"][0]["path"]) == ("STRUCTURED_OUTPUT_INVALID", "$.age")
        history = await peer.call("session/history", session_id="last")
        assert history["messages"][-2]["blocks"][0]["data"]["text"] == '{"age": "x"}'


@holds("TUR-9")
async def test_an_image_is_kept_as_a_blob_and_named_in_the_history(house: House):
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
    image = {"type": "image", "media_type": "image/png", "source": "inline", "data": data}
    async with house.connect(realm_id="r") as peer:
        for bad, field in (
            ({**image, "data": "?"}, "prompt.0.data"),
            ({**image, "media_type": "image/gif"}, "prompt.0.media_type"),
            ({**image, "source": "blob"}, "prompt.0"),
        ):
            error = await refused(peer.call("session/create", prompt=[bad]))
            assert (error.code, error.details["field"]) == ("INVALID_PARAMS", field)
        assert (await peer.call("session/list"))["sessions"] == []
        await create(house, peer, [image, {"type": "text", "text": "What is it?"}])
        block = (await peer.call("session/history", session_id="last"))["messages"][0]["content"][0]
        assert (await peer.call("blob/get", blob_id=block["blob_id"]))["data"] == data
