"""Sessions, through every door."""

from pathlib import Path

from tests.behaviours.conftest import House
from tests.behaviours.promises import except_over, holds
from tests.behaviours.test_connections import refused
from tests.support.scripted_provider import Gate

from meerkatd.errors import ProviderError


async def create(house: House, peer, prompt: str = "hello", **more) -> str:
    house.provider.answers("hi")
    return (await peer.call("session/create", prompt=prompt, **more))["session_id"]


@holds("SES-1", "SES-7")
async def test_create_answers_with_the_result_and_stores_the_session(house: House):
    async with house.connect(realm_id="r") as peer:
        house.provider.answers("hi ", "there")
        result = await peer.call("session/create", prompt="say hi", labels={"team": "a"}, system_prompt="Be kind.")
        assert result["text"] == "hi there"
        assert (result["turns"], result["tool_calls"]) == (1, 0)
        assert result["usage"]["output_tokens"] == 2
        assert result["session_ref"] == f"r:{result['session_id']}"
        row = (await peer.call("session/list"))["sessions"][0]
        assert (row["title"], row["message_count"], row["is_active"]) == ("say hi", 2, False)
        assert (row["realm_id"], row["backend"], row["config_generation"]) == ("r", "sqlite", 4)
        read = await peer.call("session/read", session_id="last")
        assert {**row, **read} == read
        assert read["last_assistant_text"] == "hi there"
        assert read["system_prompt"] == "Be kind."
        assert read["labels"] == {"team": "a"}
        assert read["last_turn"]["state"] == "completed"
        assert house.provider.requests[0].system == "Be kind."


@holds("SES-2")
async def test_a_session_whose_first_turn_failed_is_named_and_goes_on(house: House):
    async with house.connect() as peer:
        house.provider.answers(ProviderError("The provider is down.", details={"kind": "server"}))
        error = await refused(peer.call("session/create", prompt="hello"))
        assert error.code == "PROVIDER_ERROR"
        assert error.details["session_created"] is True
        house.provider.answers("better now")
        again = await peer.call("turn/start", session_id=error.details["session_id"], prompt="again")
        assert again["text"] == "better now"


@holds("SES-3")
async def test_a_deferred_session_is_seen_by_everybody_and_runs_with_its_first_turn(house: House):
    async with house.connect(realm_id="r") as one, house.connect(realm_id="r") as two:
        created = await one.call("session/create", prompt="first", initial_turn="deferred")
        assert set(created) == {"session_id", "session_ref"}
        assert (await two.call("session/list"))["sessions"][0]["message_count"] == 0
        assert (await two.call("session/history", session_id="last"))["messages"] == []
        house.provider.answers("done")
        assert (await two.call("turn/start", session_id="last", prompt="second"))["text"] == "done"
        history = await one.call("session/history", session_id="last")
        assert history["messages"][0]["content"] == "first\n\nsecond"


@holds("SES-4")
async def test_the_list_is_by_recency_page_and_label(house: House):
    async with house.connect(realm_id="r") as peer:
        ids = [await create(house, peer, labels={"n": str(n % 2), "all": "x"}) for n in range(5)]

        async def listed(**params):
            return [row["session_id"] for row in (await peer.call("session/list", **params))["sessions"]]

        assert await listed() == ids[::-1]
        house.provider.answers("again")
        await peer.call("turn/start", session_id=ids[0], prompt="go on")
        expected = [ids[0], *ids[:0:-1]]
        assert await listed() == expected
        assert await listed(limit=2, offset=1) == expected[1:3]
        assert await listed(offset=99) == []
        assert await listed(labels={"n": "1", "all": "x"}) == [ids[3], ids[1]]
        assert await listed(labels={"n": "9"}) == []
        await peer.call("session/archive", session_id=ids[3])
        assert ids[3] not in await listed()
        assert ids[3] in await listed(include_archived=True)


@holds("SES-5")
async def test_history_is_oldest_first_and_paged_without_gaps(house: House):
    async with house.connect() as peer:
        await create(house, peer, prompt="p0")
        for number in range(1, 4):
            house.provider.answers("a")
            await peer.call("turn/start", session_id="last", prompt=f"p{number}")
        whole = await peer.call("session/history", session_id="last")
        assert (whole["message_count"], whole["has_more"], whole["limit"]) == (8, False, 100)
        pages = [await peer.call("session/history", session_id="last", offset=o, limit=3) for o in (0, 3, 6)]
        assert [message for page in pages for message in page["messages"]] == whole["messages"]
        assert [page["has_more"] for page in pages] == [True, True, False]
        assert [m["content"] for m in whole["messages"] if m["role"] == "user"] == ["p0", "p1", "p2", "p3"]
        past = await peer.call("session/history", session_id="last", offset=1000)
        assert (past["messages"], past["offset"], past["has_more"]) == ([], 8, False)


@holds("SES-6")
async def test_an_archived_session_keeps_its_history_and_refuses_changes(house: House):
    async with house.connect() as peer:
        session_id = await create(house, peer)
        assert (await peer.call("session/archive", session_id=session_id))["archived"] is True
        assert (await peer.call("session/list"))["sessions"] == []
        assert len((await peer.call("session/history", session_id=session_id))["messages"]) == 2
        assert (await peer.call("session/read", session_id=session_id))["archived"] is True
        for method, params in (
            ("turn/start", {"prompt": "x"}),
            ("session/archive", {}),
            ("session/label", {"labels": {"a": "b"}}),
        ):
            error = await refused(peer.call(method, session_id=session_id, **params))
            assert error.code == "SESSION_ARCHIVED", method
        assert (await peer.call("session/unarchive", session_id=session_id))["archived"] is False
        labels = await peer.call("session/label", session_id=session_id, labels={"a": "b"})
        assert labels["labels"] == {"a": "b"}
        removed = await peer.call("session/label", session_id=session_id, labels={"a": None, "c": "d"})
        assert removed["labels"] == {"c": "d"}


@holds("SES-4")
async def test_a_session_is_found_by_the_references_that_people_use(house: House):
    async with house.connect(realm_id="r") as peer:
        session_id = await create(house, peer)
        for reference in (session_id, f"r:{session_id}", session_id[:13], "last", "~0"):
            assert (await peer.call("session/read", session_id=reference))["session_id"] == session_id
        assert (await refused(peer.call("session/read", session_id="~7"))).code == "SESSION_NOT_FOUND"


@holds("SES-8")
async def test_a_fork_begins_with_the_first_messages(house: House):
    async with house.connect(realm_id="r") as peer:
        source_id = await create(house, peer)
        forked = await peer.call("session/fork_at", session_id="last", message_index=1, idempotency_key="k")
        fork_id = forked["session_id"]
        assert forked == {
            "source_session_id": source_id,
            "session_id": fork_id,
            "session_ref": f"r:{fork_id}",
            "message_count": 1,
            "cache_inheritance": {
                "status": "unavailable",
                "message_count": 1,
                "reason": "no_authored_breakpoint_at_boundary",
            },
        }
        again = await peer.call("session/fork_at", session_id=source_id, message_index=1, idempotency_key="k")
        assert again == forked
        house.provider.answers("another way")
        assert (await peer.call("turn/start", session_id=fork_id, prompt="go on"))["text"] == "another way"
        assert (await peer.call("session/read", session_id=source_id))["message_count"] == 2
        assert (await peer.call("session/read", session_id=fork_id))["message_count"] == 3
        error = await refused(peer.call("session/fork_at", session_id=source_id, message_index=3))
        assert (error.code, error.details["field"]) == ("INVALID_PARAMS", "message_index")
        gate = Gate()
        house.provider.answers(gate)
        async with house.connect(realm_id="r") as other:
            running = await other.begin("turn/start", session_id=source_id, prompt="go")
            await gate.reached.wait()
            error = await refused(
                peer.call("session/fork_at", session_id=source_id, message_index=1, running_behavior="reject")
            )
            assert error.code == "SESSION_BUSY"
            gate.open()
            await other.reply(running)


@holds("SES-9")
async def test_context_is_added_without_a_turn(house: House):
    async with house.connect() as peer:
        session_id = await create(house, peer)
        said = {"content": {"type": "text", "text": "It rains."}, "source": "weather", "idempotency_key": "k"}
        added = await peer.call("session/inject_context", session_id="last", **said)
        assert added == {"session_id": session_id, "status": "applied"}
        # The older spelling of the same request.
        older = {"text": "It rains.", "source": "weather", "idempotency_key": "k"}
        assert (await peer.call("session/inject_context", session_id=session_id, **older))["status"] == "duplicate"
        error = await refused(peer.call("session/inject_context", session_id=session_id, **{**older, "source": "x"}))
        assert (error.code, error.number) == ("DUPLICATE_INPUT", -32004)
        message = (await peer.call("session/history", session_id="last"))["messages"][-1]
        assert (message["role"], message["transcript_role"]) == ("user", "injected_context")
        assert (message["content"], message["source"]) == ("It rains.", "weather")
        for params in ({"text": " \n"}, {}, {"text": "a", "content": {"type": "text", "text": "b"}}):
            error = await refused(peer.call("session/inject_context", session_id="last", **params))
            assert error.code == "INVALID_PARAMS"


@holds("SES-9")
async def test_context_is_staged_while_a_turn_runs_and_joins_it(house: House):
    async with house.connect(realm_id="r") as one, house.connect(realm_id="r") as two:
        gate = Gate()
        house.provider.answers("the answer", gate)
        running = await one.begin("session/create", prompt="hello")
        await gate.reached.wait()
        assert (await two.call("session/inject_context", session_id="last", text="It rains."))["status"] == "staged"
        assert (await two.call("session/history", session_id="last"))["messages"] == []
        gate.open()
        await one.reply(running)
        messages = (await two.call("session/history", session_id="last"))["messages"]
        assert [m.get("content") for m in messages] == ["hello", None, "It rains."]


@holds("SES-10")
async def test_an_event_from_outside_is_told_once_and_read_by_the_next_turn(house: House):
    async with house.connect(realm_id="r") as peer:
        session_id = await create(house, peer)
        event = {"event_type": "build.finished", "payload": {"ok": True, "log": None}, "idempotency_key": "k"}
        told = await peer.call("session/external_event", session_id="last", kind="generic_json", **event)
        assert (told["outcome_type"], told["session_id"], told["status"]) == ("accepted", session_id, "applied")
        # The order of a payload's fields says nothing.
        event["payload"] = {"log": None, "ok": True}
        again = await peer.call("session/external_event", session_id=session_id, **event)
        assert again == {
            "outcome_type": "deduplicated",
            "session_id": session_id,
            "existing_id": told["input_id"],
            "status": "duplicate",
        }
        event["payload"] = {"ok": True}
        error = await refused(peer.call("session/external_event", session_id=session_id, **event))
        assert error.code == "DUPLICATE_INPUT"
        notice = (await peer.call("session/history", session_id="last"))["messages"][-1]
        assert (notice["role"], notice["kind"]) == ("system_notice", "external_event")
        (block,) = notice["blocks"]
        assert (block["type"], block["event_type"]) == ("external_event", "build.finished")
        assert (block["source"], block["payload"]) == (peer.surface, {"ok": True, "log": None})
        house.provider.answers("I see")
        await peer.call("turn/start", session_id="last", prompt="and now?")
        seen = house.provider.requests[-1].messages[2]
        assert seen["body"] == notice["body"]
        assert "build.finished" in seen["body"]
        assert '"ok": true' in seen["body"]


@holds("SES-10")
async def test_an_event_from_outside_joins_the_running_turn(house: House):
    async with house.connect(realm_id="r") as one, house.connect(realm_id="r") as two:
        gate = Gate()
        house.provider.answers("the answer", gate)
        running = await one.begin("session/create", prompt="hello")
        await gate.reached.wait()
        # As older clients spell it.
        told = await two.call("session/external_event", session_id="last", payload="it rains", source="weather")
        assert (told["outcome_type"], told["status"]) == ("accepted", "staged")
        gate.open()
        await one.reply(running)
        notice = (await two.call("session/history", session_id="last"))["messages"][-1]
        assert notice["blocks"][0]["source"] == "weather"
        await two.call("session/archive", session_id="last")
        session_id = told["session_id"]
        error = await refused(two.call("session/external_event", session_id=session_id, payload=1))
        assert error.code == "SESSION_ARCHIVED"
        for wrong in ({}, {"payload": 1, "kind": "peer_response_terminal"}, {"payload": 1, "event_type": ""}):
            error = await refused(two.call("session/external_event", session_id=session_id, **wrong))
            assert error.code == "INVALID_PARAMS"


@holds("SES-11")
async def test_a_summary_stands_for_the_older_part_also_after_a_restart(house: House):
    async with house.connect(realm_id="r") as peer:
        await create(house, peer)
        for answer in ("one", "two"):
            house.provider.answers(answer)
            await peer.call("turn/start", session_id="last", prompt="go on")
        house.provider.answers("They talked.")
        result = await peer.call("session/compact", session_id="last", recent_turns=1)
        assert (result["compacted"], result["messages_before"], result["messages_after"]) == (True, 6, 3)
        assert (await peer.call("session/history", session_id="last"))["message_count"] == 6
    await house.restart()
    async with house.connect(realm_id="r") as peer:
        house.provider.answers("fine")
        await peer.call("turn/start", session_id="last", prompt="and now?")
        sent = house.provider.requests[-1].messages
        assert "They talked." in str(sent[0]["content"])
        assert len(sent) == 5
        assert (await peer.call("session/read", session_id="last"))["compaction"]["through"] == 4


@holds("SES-12")
@except_over(tcp="pages name no folders")
async def test_a_projects_instructions_are_used_only_when_allowed(house: House, tmp_path: Path):
    (tmp_path / "AGENTS.md").write_text("Use tabs.")
    async with house.connect(realm_id="r") as peer:
        await create(house, peer, workspace=str(tmp_path))
        assert house.provider.requests[-1].system is None
        await create(house, peer, workspace=str(tmp_path), project_instructions=True)
        assert "Use tabs." in str(house.provider.requests[-1].system)
        assert (await peer.call("session/read", session_id="last"))["project_instructions"]["bytes"] == 9
