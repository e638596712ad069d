"""Sessions and turns: what the daemon promises, through the asynchronous client and its blocking twin."""

import anyio
import pytest
from tests.sdk.flavours import MODEL, World, played, raised, said

from meerkat_client import (
    ProviderError,
    RequestError,
    RunCompleted,
    SessionArchivedError,
    SessionBusyError,
    SessionNotFoundError,
    SessionNotRunningError,
    StructuredOutputError,
    TurnInterruptedError,
)


@played()
async def test_create_gives_the_result_and_stores_the_session(world: World) -> None:
    world.model.answers("hi ", "there")
    async with world.client() as client:
        session = await world.create(client, "say hi", labels={"team": "a"}, system_prompt="Be kind.")
        assert (session.text, session.turns, session.tool_calls) == ("hi there", 1, 0)
        assert session.usage.output_tokens == 2
        assert session.ref == f"{client.realm_id}:{session.id}"
        (row,) = await client.list_sessions()
        assert (row.session_id, row.title, row.message_count, row.is_active) == (session.id, "say hi", 2, False)
        assert (row.realm_id, row.backend, row.labels) == (client.realm_id, "sqlite", {"team": "a"})
        details = await client.read_session("last")
        assert details.last_assistant_text == "hi there"
        assert details.system_prompt == "Be kind."
        assert details.usage == session.usage
        assert details.last_turn["state"] == "completed"
        assert world.model.requests[0]["messages"][0]["content"] == "Be kind."


@played()
async def test_a_session_whose_first_turn_failed_is_named_and_goes_on(world: World) -> None:
    world.model.answers(400)
    async with world.client() as client:
        error = await raised(ProviderError, world.create(client))
        assert error.code == "PROVIDER_ERROR"
        assert error.hint
        result = await client.session(error.session_id).turn("again")
        assert result.text == "ok"


@played()
async def test_a_deferred_session_is_seen_by_everybody_and_runs_with_its_first_turn(world: World) -> None:
    async with world.client() as one, world.client() as two:
        deferred = await one.create_deferred_session("first", model=MODEL)
        assert (await two.read_session(deferred.id)).staged_prompt == "first"
        assert (await deferred.history()).messages == ()
        assert (await deferred.start_turn("second")).text == "ok"
        assert (await two.read_session_history("last")).messages[0].text == "first\n\nsecond"


@played()
async def test_a_deferred_session_can_stream_its_first_turn(world: World) -> None:
    world.model.answers("a", "b")
    async with world.client() as client:
        deferred = await client.create_deferred_session("first", model=MODEL)
        text, result = await deferred.stream("second").collect_text()
        assert (text, result.text) == ("ab", "ab")
        assert (await deferred.session().turn("third")).text == "ok"


@played()
async def test_the_list_is_by_recency_page_and_label(world: World) -> None:
    async with world.client() as client:
        sessions = [await world.create(client, labels={"n": str(n % 2)}) for n in range(4)]
        ids = [session.id for session in sessions]

        async def listed(**options: object) -> list[str]:
            return [row.session_id for row in await client.list_sessions(**options)]

        assert await listed() == ids[::-1]
        await sessions[0].turn("go on")
        assert await listed(limit=2, offset=1) == [ids[3], ids[2]]
        assert await listed(labels={"n": "1"}) == [ids[3], ids[1]]
        await sessions[3].archive()
        assert ids[3] not in await listed()
        assert ids[3] in await listed(include_archived=True)


@played()
async def test_history_is_oldest_first_and_paged_without_gaps(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client, "p0")
        for number in (1, 2):
            await session.turn(f"p{number}")
        whole = await session.history()
        assert (whole.message_count, whole.has_more) == (6, False)
        pages = [await session.history(offset, 4) for offset in (0, 4)]
        assert tuple(message for page in pages for message in page.messages) == whole.messages
        assert [page.has_more for page in pages] == [True, False]
        assert [message.text for message in whole.messages] == ["p0", "ok", "p1", "ok", "p2", "ok"]
        assert (await session.history(1000)).messages == ()


@played()
async def test_an_archived_session_keeps_its_history_and_refuses_changes(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        await session.archive()
        assert (await session.read()).archived is True
        assert len((await session.history()).messages) == 2
        await raised(SessionArchivedError, session.turn("x"))
        await raised(SessionArchivedError, session.label({"a": "b"}))
        await session.unarchive()
        assert await session.label({"a": "b"}) == {"a": "b"}
        assert await session.label({"a": None, "c": "d"}) == {"c": "d"}


@played()
async def test_a_fork_begins_with_the_first_messages(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        fork = await session.fork_at(1)
        assert (await fork.read()).message_count == 1
        assert (await fork.turn("another way")).text == "ok"
        assert (await session.read()).message_count == 2


@played()
async def test_context_is_added_without_a_turn_and_once_by_its_key(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        said = {"source": "weather", "idempotency_key": f"k-{session.id}"}
        assert (await session.inject_context("It rains.", **said))["status"] == "applied"
        assert (await client.inject_context(session.id, "It rains.", **said))["status"] == "duplicate"
        message = (await session.history()).messages[-1]
        assert (message.text, message.transcript_role, message.source) == ("It rains.", "injected_context", "weather")
        error = await raised(RequestError, session.inject_context("It shines.", **said))
        assert error.code == "DUPLICATE_INPUT"


@played()
async def test_an_event_from_outside_is_told_once_by_its_key(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        said = {"source": "ci", "blocks": [{"type": "text", "text": "Look."}], "idempotency_key": f"k-{session.id}"}
        told = await session.send_external_event("build.finished", {"ok": True}, **said)
        assert told["outcome_type"] == "accepted"
        again = await client.send_external_event(session.id, "build.finished", {"ok": True}, **said)
        assert (again["outcome_type"], again["existing_id"]) == ("deduplicated", told["input_id"])
        message = (await session.history()).messages[-1]
        assert (message.role, message.kind, message.text.splitlines()[-1]) == (
            "system_notice",
            "external_event",
            "Look.",
        )
        (event,) = message.events
        assert (event.event_type, event.source, event.payload) == ("build.finished", "ci", {"ok": True})
        assert (await client.send_external_event(session.id, "ping", None))["outcome_type"] == "accepted"


@played()
async def test_a_second_turn_is_busy_and_names_the_holder(world: World) -> None:
    async with world.client(instance_id="me") as one, world.client(name="another") as two:
        session = await world.create(one)
        async with world.running(lambda: session.turn("go")) as running:
            error = await raised(SessionBusyError, two.session(session.id).turn("me too"))
            assert (error.surface, error.client) == ("sdk", "test")
            assert error.retryable
            assert error.started_at is not None
            assert (await two.session(session.id).inject_context("And now?"))["status"] == "staged"
        assert running.result.turn_id == error.turn_id
        assert error.cursor < running.result.cursor


@played()
async def test_interrupt_works_from_another_client_and_keeps_what_was_produced(world: World) -> None:
    async with world.client() as one, world.client() as two:
        session = await world.create(one)
        async with world.running(lambda: session.turn("go"), "half") as running:
            await said(two, session.id, "half")
            reply = await two.session("last").interrupt()
            assert (reply.interrupted, reply.outcome) == (True, "interrupted")
            assert [m.role for m in (await two.read_session_history(session.id)).messages[2:]] == [
                "user",
                "block_assistant",
                "system_notice",
            ]
        assert isinstance(running.error, TurnInterruptedError)
        assert running.error.text == "half"
        await raised(SessionNotRunningError, session.interrupt())


@played()
async def test_a_turn_outlives_the_client_that_started_it(world: World) -> None:
    async with world.client() as other:
        starter = world.client()
        async with starter:
            session = await world.create(starter)
            async with world.running(lambda: session.turn("go"), "on ") as running:
                if world.flavour == "blocking":
                    # One thread at a time; that of the turn waits inside of the client's connection.
                    await anyio.to_thread.run_sync(cut, starter)
                else:
                    await starter.close()
                assert (await other.read_session(session.id)).is_active
        assert running.error.code == "DAEMON_UNAVAILABLE"
        async with await other.subscribe_session_events(session.id, cursor=0) as events:
            async for envelope in events:
                if isinstance(envelope.payload, RunCompleted) and envelope.payload.result == "on end":
                    break
        assert (await other.read_session(session.id)).last_assistant_text == "on end"


def cut(client: object) -> None:
    """End a blocking client's connection for good, as the end of its process would."""
    link = client.real._link  # type: ignore[attr-defined]
    link._closed = True
    link._connection._sock.shutdown(2)


@played()
async def test_an_idempotency_key_gives_the_first_outcome_again(world: World) -> None:
    async with world.client() as one, world.client() as two:
        key = {"idempotency_key": "k1"}
        first = await world.create(one, **key)
        assert (await world.create(two, **key)).last_result == first.last_result
        assert (await raised(RequestError, world.create(two, "other", **key))).code == "DUPLICATE_INPUT"
        turn = await first.turn("x", idempotency_key="k2")
        assert await two.session(first.id).turn("x", idempotency_key="k2") == turn
        assert len(world.model.requests) == 2


@played()
async def test_what_is_not_there_and_what_is_not_known_is_told_by_code_and_hint(world: World) -> None:
    async with world.client() as client:
        error = await raised(SessionNotFoundError, client.read_session("ffff"))
        assert (error.code, error.retryable) == ("SESSION_NOT_FOUND", False)
        assert error.hint
        error = await raised(RequestError, client.create_session("x", modle="typo"))
        assert error.code == "INVALID_PARAMS"
        assert error.details["field"] == "modle"
        assert (await raised(RequestError, client.call("session/lost"))).code == "METHOD_NOT_FOUND"
        assert await client.call("session/list") == {"sessions": []}


@played()
async def test_a_prompt_may_be_text_blocks(world: World) -> None:
    async with world.client() as client:
        blocks = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
        session = await client.create_session(blocks, model=MODEL)
        assert (await session.history()).messages[0].text == "one two"


@played()
async def test_a_client_that_is_not_connected_says_so(world: World) -> None:
    client = world.client()
    if world.flavour == "blocking":
        client = client.real
    with pytest.raises(Exception, match="not connected") as info:
        client.session("last")
    assert info.value.code == "DAEMON_UNAVAILABLE"  # type: ignore[attr-defined]


@played()
async def test_an_answer_that_fits_a_schema_is_a_value(world: World) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    world.model.answers('{"age": 4}')
    async with world.client() as client:
        session = await world.create(client, "how old?", output_schema=schema)
        assert session.structured_output == {"age": 4}
        assert (await session.read()).output_schema == schema
        world.model.answers('{"age": "x"}')
        error = await raised(StructuredOutputError, session.turn("and now?", structured_output_retries=0))
        assert error.text == '{"age": "x"}'
        assert error.errors[0]["path"] == "$.age"
        error = await raised(RequestError, world.create(client, "x", output_schema={"type": "strin"}))
        assert error.details["field"] == "output_schema.type"


@played()
async def test_a_session_is_compacted(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client, "one")
        await session.turn("two")
        world.model.answers("They talked.")
        result = await session.compact(recent_turns=1)
        assert (result["compacted"], result["messages_after"]) == (True, 3)
        assert (await session.read()).compaction["summary"] == "They talked."
        assert (await session.history()).message_count == 4
