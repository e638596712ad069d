"""Scenes that drive `rkat-rpc` by the stock SDK 0.9.6: `python scenes_096.py SCENE`, in the SDK's own environment.

The model's answers are queued by the test that runs a scene. What is wrong raises.
"""

import asyncio
import json
import sys
from typing import Any

from meerkat import MeerkatClient, MeerkatError, RunCompleted, RunStarted, TextDelta
from meerkat.generated.types import EventsLatestCursorParams, EventsListSinceParams, EventsSnapshotParams


async def refusal(wanted: Any) -> MeerkatError:
    """The error of something that must fail."""
    try:
        await wanted
    except MeerkatError as error:
        return error
    raise AssertionError("it was not refused")


async def connect(client: MeerkatClient) -> None:
    await client.connect(realm_id="sdk-connect", instance_id="one", realm_backend="sqlite")
    assert client.has_capability("sessions")
    assert client.has_capability("streaming")
    assert not client.has_capability("mob")
    client.require_capability("session_store")
    assert (await client.get_models_catalog())["providers"]


async def live_flags(client: MeerkatClient) -> None:
    await client.connect(live_ws=True, live_webrtc=True)
    assert await client.list_sessions() == []


async def create_and_turn(client: MeerkatClient) -> None:
    await client.connect(realm_id="sdk-create")
    session = await client.create_session("first", system_prompt="You are brief.", max_tokens=100, labels={"team": "a"})
    assert session.text == "one", session.text
    assert session.usage.output_tokens == 1
    result = await session.turn("second")
    assert result.text == session.text == "two"
    details = await client.read_session(session.id)
    assert details.message_count == 4
    assert details.labels == {"team": "a"}
    assert details.last_assistant_text == "two"


async def list_history_archive(client: MeerkatClient) -> None:
    await client.connect(realm_id="sdk-list")
    session = await client.create_session("hello", labels={"team": "b"})
    assert [row.session_id for row in await client.list_sessions(labels={"team": "b"})] == [session.id]
    assert await client.list_sessions(labels={"team": "c"}) == []
    assert await client.list_sessions(limit=1, offset=1) == []
    history = await session.history(limit=1)
    assert (history.message_count, history.has_more, len(history.messages)) == (2, True, 1)
    roles = [message.role for message in (await client.read_session_history(session.id)).messages]
    assert roles == ["user", "block_assistant"]
    await session.archive()
    assert await client.list_sessions() == []
    assert (await session.history()).message_count == 2
    assert (await refusal(session.turn("more"))).code == "SESSION_ARCHIVED"
    assert (await refusal(client.read_session("018f0000-0000-7000-8000-000000000000"))).code == "SESSION_NOT_FOUND"


async def stream(client: MeerkatClient) -> None:
    await client.connect(realm_id="sdk-stream")
    seen: list[Any] = []
    async with client.create_session_streaming("hello") as events:
        async for event in events:
            seen.append(event)
    assert isinstance(seen[0], RunStarted), seen
    assert [event.delta for event in seen if isinstance(event, TextDelta)] == ["Once", " upon"]
    assert isinstance(seen[-1], RunCompleted), seen
    assert events.result.text == "Once upon"
    text, result = await client_session(client, events.session_id).collect_text()
    assert text == result.text == "again"


def client_session(client: MeerkatClient, session_id: str) -> Any:
    return client._start_turn_streaming(session_id, "go on")


async def structured(client: MeerkatClient) -> None:
    await client.connect(realm_id="sdk-structured")
    client.require_capability("structured_output")
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    session = await client.create_session("how old?", output_schema=schema, structured_output_retries=1)
    assert session.structured_output == {"age": 4}, session.last_result
    failed = await refusal(session.turn("and now?"))
    assert failed.code == "STRUCTURED_OUTPUT_INVALID", failed
    assert failed.details["errors"][0]["path"] == "$"
    async with session.stream("once more") as events:
        seen = [event async for event in events]
    assert isinstance(seen[-1], RunCompleted), seen
    assert seen[-1].structured_output == {"age": 5}
    assert (await refusal(client.create_session("x", output_schema={"type": "strin"}))).code == "INVALID_PARAMS"


async def compaction(client: MeerkatClient) -> None:
    await client.connect(realm_id="sdk-compaction")
    client.require_capability("session_compaction")
    config = await client.get_config()
    compaction = {"auto_compact_threshold": 1000, "recent_turn_budget": 1}
    await client.set_config({**config["config"], "compaction": compaction})
    session = await client.create_session("hello")
    await session.turn("a long one, please")
    async with session.stream("go on") as events:
        seen = [event async for event in events]
    kinds = [type(event).__name__ for event in seen]
    assert "CompactionStarted" in kinds, kinds
    completed = next(event for event in seen if type(event).__name__ == "CompactionCompleted")
    assert completed.summary_source.kind == "provider_call", completed
    assert completed.messages_after < completed.messages_before
    assert (await session.history()).message_count == 6


async def interrupt(client: MeerkatClient) -> None:
    await client.connect(realm_id="sdk-interrupt")
    session = await client.create_session("hello")
    assert (await refusal(session.interrupt())).code == "SESSION_NOT_RUNNING"
    async with session.stream("tell me a long story") as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
        assert (await client.read_session(session.id)).is_active
        busy = await refusal(session.turn("me too"))
        assert busy.code == "SESSION_BUSY", busy
        assert busy.details["surface"] == "rpc"
        await session.interrupt()
        assert (await refusal(events.collect())).code == "REQUEST_CANCELLED"
    last = (await session.history()).messages[-2:]
    assert "half" in json.dumps([message.blocks[0].text for message in last if message.blocks])
    assert (await session.turn("again")).text == "ok"


async def deferred(client: MeerkatClient) -> None:
    await client.connect(realm_id="sdk-deferred")
    session = await client.create_deferred_session("the first words")
    assert [row.session_id for row in await client.list_sessions()] == [session.id]
    result = await session.start_turn("and the rest")
    assert result.text == "one"


async def config(client: MeerkatClient) -> None:
    await client.connect(realm_id="sdk-config")
    before = await client.get_config()
    assert before["realm_id"] == "sdk-config"
    after = await client.patch_config({"agent": {"temperature": 0.5}}, expected_generation=before["generation"])
    assert after["generation"] == before["generation"] + 1
    stale = await refusal(
        client.patch_config({"agent": {"temperature": 1.0}}, expected_generation=before["generation"])
    )
    assert stale.code == "CONFIG_CONFLICT", stale
    assert stale.details["current_generation"] == after["generation"]
    written = await client.set_config({"agent": {"temperature": 0.25}}, expected_generation=after["generation"])
    assert (await client.get_config())["config"]["agent"]["temperature"] == 0.25
    assert written["generation"] == after["generation"] + 1


async def tools(client: MeerkatClient) -> None:
    asked = []

    @client.tool("weather", description="The weather of a place", input_schema={"type": "object"})
    async def weather(arguments: dict[str, Any]) -> str:
        asked.append(arguments)
        # A nested call: the SDK and the shim must not wait for the tool before they serve it.
        assert len(await client.list_sessions()) == 1
        return "rain"

    @client.tool("broken", description="It fails", input_schema={"type": "object"})
    async def broken(arguments: dict[str, Any]) -> str:
        raise RuntimeError("out of order")

    await client.connect(realm_id="sdk-tools")
    session = await client.create_session("What is the weather?")
    assert asked == [{"place": "Rome"}]
    assert session.text == "It rains."
    assert session.tool_calls == 1
    results = [message for message in (await session.history()).messages if message.role == "tool_results"]
    assert results[0].results[0].content == "rain", results
    await session.turn("And the other one?")
    results = [message for message in (await session.history()).messages if message.role == "tool_results"]
    assert results[1].results[0].is_error


async def subscribe(client: MeerkatClient) -> None:
    await client.connect(realm_id="sdk-subscribe")
    session = await client.create_session("hello")
    subscription = await session.subscribe_events()
    async with subscription:
        turn = asyncio.ensure_future(session.turn("go"))
        kinds = []
        async for envelope in subscription:
            kinds.append(type(envelope.payload).__name__)
            if isinstance(envelope.payload, RunCompleted):
                break
        assert kinds[0] == "RunStarted", kinds
        assert (await turn).text == "ok"
    assert subscription.last_rpc_sequence == len(kinds)


async def fork_and_inject(client: MeerkatClient) -> None:
    await client.connect(realm_id="sdk-fork")
    session = await client.create_session("hello")
    assert (await session.inject_context("It is late.", source="clock", idempotency_key="k"))["status"] == "applied"
    assert (await session.inject_context("It is late.", source="clock", idempotency_key="k"))["status"] == "duplicate"
    added = (await session.history()).messages
    assert len(added) == 3
    assert added[-1].content == "It is late.", added
    event = {"event_type": "build.finished", "payload": {"ok": True}, "idempotency_key": "e"}
    told = await session.send_external_event(**event)
    assert told["outcome_type"] == "accepted", told
    assert (await session.send_external_event(**event))["existing_id"] == told["input_id"]
    notice = (await session.history()).messages[-1]
    assert (notice.role, notice.kind) == ("system_notice", "external_event"), notice
    forked = await client.fork_session_at(session.id, 2)
    assert forked.source_session_id == session.id
    assert forked.session_id != session.id
    assert forked.message_count == 2
    assert (await client.read_session(forked.session_id)).message_count == 2


async def runtime_and_events(client: MeerkatClient) -> None:
    await client.connect(realm_id="sdk-runtime")
    assert (await client.get_runtime_host_info())["contract_version"]
    assert (await client.get_runtime_host_capabilities())["features"]["session_streams"]
    assert (await client.get_runtime_host_health())["status"] == "ok"
    session = await client.create_session("hello")
    scope = {"type": "session", "session_id": session.id}
    latest = await client.latest_event_cursor(EventsLatestCursorParams(scope=scope))
    page = await client.list_events_since(EventsListSinceParams(scope=scope, limit=2))
    assert len(page["events"]) == 2
    assert page["has_more"]
    rest = await client.list_events_since(EventsListSinceParams(scope=scope, cursor=page["events"][-1]["cursor"]))
    assert rest["events"][-1]["cursor"] == latest["cursor"] == rest["latest_cursor"]
    snapshot = await client.event_snapshot(EventsSnapshotParams(scope=scope))
    assert snapshot["snapshot"]["session"]["session_id"] == session.id


async def two_clients(client: MeerkatClient) -> None:
    other = MeerkatClient()
    await client.connect(realm_id="sdk-two")
    await other.connect(realm_id="sdk-two")
    try:
        session = await client.create_session("hello")
        assert [row.session_id for row in await other.list_sessions()] == [session.id]
        subscription = await other.subscribe_session_events(session.id)
        async with session.stream("slowly") as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    break
            async for envelope in subscription:
                if isinstance(envelope.payload, TextDelta):
                    break
            # The one who did not start it stops it.
            result = await other._request("turn/interrupt", {"session_id": session.id})
            assert result["interrupted"]
            assert (await refusal(events.collect())).code == "REQUEST_CANCELLED"
    finally:
        await other.close()


async def unknown_method(client: MeerkatClient) -> None:
    await client.connect()
    assert (await refusal(client.list_artifacts())).code == "METHOD_NOT_FOUND"


async def wrong_backend(client: MeerkatClient) -> None:
    await client.connect(realm_id="sdk-pinned", realm_backend="jsonl")
    await client.create_deferred_session("hello")
    other = MeerkatClient()
    try:
        error = await refusal(other.connect(realm_id="sdk-pinned", realm_backend="sqlite"))
    finally:
        await other.close()
    assert error.code == "REALM_BACKEND_MISMATCH", error


async def failed_turn(client: MeerkatClient) -> None:
    await client.connect(realm_id="sdk-failed")
    error = await refusal(client.create_session("hello"))
    assert error.code == "PROVIDER_ERROR", error
    assert (await client.read_session(error.details["session_id"])).message_count >= 1


async def main(name: str) -> None:
    client = MeerkatClient()
    try:
        await globals()[name](client)
    finally:
        # A daemon that kept the pipes of the shim that started it would let this wait for ever.
        await asyncio.wait_for(client.close(), 10)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
