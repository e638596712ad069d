"""The tools, by the official client: it holds every result against the schema that the tool announced."""

import pytest
import trio
from mcp import MCPError
from mcp.types import INVALID_PARAMS
from tests.mcp_shim.agent_kit import AgentPlace, text
from tests.support.gated_model import GatedModel, ToolCall

from meerkatd.contract.methods import METHODS
from rkat_shims.mcp.params import CONFIG_ACTIONS
from rkat_shims.mcp.tools import BY_NAME, TOOLS

PATIENCE = 60
# What agents have no tool for, each with its reason.
NO_TOOL = {
    "config/watch": "a tool answers once",
    "config/unwatch": "a tool answers once",
    "initialize": "the command line says what it would",
    "tools/register": "an agent offers no tools through MCP",
    "events/latest_cursor": "meerkat_read and meerkat_events tell the cursor",
    "events/snapshot": "meerkat_read gives session and cursor at once",
}
# People look after the daemon and its realms, and agents do not; nor does an agent allow what a person is asked.
FOR_PEOPLE = ("daemon/", "realm/", "runtime/", "approval/")


def test_every_method_has_a_tool_or_a_reason_why_not():
    of_one = [tool for tool in TOOLS if tool.asks is not None and tool.name != "meerkat_config"]
    offered = {tool.asks({"session_id": "x"})[0] for tool in of_one}
    offered |= {f"config/{action}" for action in CONFIG_ACTIONS} | {"session/stream_open", "session/stream_close"}
    missing = {each.name for each in METHODS} - offered - set(NO_TOOL)
    assert {name for name in missing if not name.startswith(FOR_PEOPLE)} == set()


async def test_a_client_of_either_era_lists_runs_resumes_and_reads(place: AgentPlace, model: GatedModel):
    with trio.fail_after(PATIENCE):
        for mode in ("legacy", "auto"):
            model.answers("hello ", "you")
            model.answers("and again")
            async with place.agent(mode=mode) as agent:
                names = {each.name for each in (await agent.list_tools()).tools}
                assert names == set(BY_NAME)
                ran = await agent.call_tool("meerkat_run", {"prompt": "hi", "labels": {"a": "b"}})
                assert (ran.is_error, ran.structured_content["text"]) == (False, "hello you")
                assert text(ran).startswith("hello you\n{")
                session_id = ran.structured_content["session_id"]
                again = await agent.call_tool("meerkat_resume", {"session_id": session_id, "prompt": "more"})
                assert again.structured_content["text"] == "and again"
                page = await agent.call_tool("meerkat_history", {"session_id": "last", "limit": 3})
                assert [each["role"] for each in page.structured_content["messages"]] == [
                    "user",
                    "block_assistant",
                    "user",
                ]
                rows = (await agent.call_tool("meerkat_sessions", {})).structured_content["sessions"]
                assert [row["session_id"] for row in rows] == [session_id]


async def test_every_reading_tool_gives_what_its_schema_says(place: AgentPlace):
    """The client refuses a result that does not fit."""
    with trio.fail_after(PATIENCE):
        async with place.agent() as agent:
            session_id = (await agent.call_tool("meerkat_run", {"prompt": "hi"})).structured_content["session_id"]
            alone = ("meerkat_sessions", "meerkat_capabilities", "meerkat_models_catalog", "meerkat_config_schema")
            for name in (*alone, "meerkat_realm", "meerkat_realms"):
                assert not (await agent.call_tool(name, {})).is_error, name
            for name in ("meerkat_read", "meerkat_history", "meerkat_turn", "meerkat_events"):
                assert not (await agent.call_tool(name, {"session_id": session_id})).is_error, name
            for arguments in (
                {"action": "get"},
                {"action": "patch", "patch": {"agent": {"model": "openai/x"}}, "expected_generation": 0},
                {"action": "set", "config": {}},
            ):
                result = await agent.call_tool("meerkat_config", arguments)
                assert not result.is_error, text(result)
                assert "resolved_paths" not in result.structured_content
            stale = await agent.call_tool("meerkat_config", {"action": "set", "config": {}, "expected_generation": 1})
            assert stale.structured_content["code"] == "CONFIG_CONFLICT"
            assert stale.structured_content["details"]["current_generation"] == 2


async def test_what_is_wrong_with_arguments_is_told_by_field_and_an_unknown_tool_by_the_protocol(place: AgentPlace):
    with trio.fail_after(PATIENCE):
        async with place.agent() as agent:
            for name, arguments, field in (
                ("meerkat_run", {"promt": "x"}, "promt"),
                ("meerkat_run", {"prompt": "x", "session_events": True}, "session_events"),
                ("meerkat_sessions", {"limit": "10"}, "limit"),
                ("meerkat_history", {"session_id": "last", "offset": -1}, "offset"),
                ("meerkat_events", {"session_id": "last", "cursor": -1}, "cursor"),
                ("meerkat_event_stream_read", {"stream_id": "x", "timeout_ms": 10**9}, "timeout_ms"),
                ("meerkat_event_stream_read", {"stream_id": "never"}, "stream_id"),
                ("meerkat_config", {}, "action"),
                ("meerkat_config", {"action": "get", "patch": {}}, "patch"),
                ("meerkat_config", {"action": "set"}, "params"),
            ):
                result = await agent.call_tool(name, arguments)
                assert result.is_error, name
                found = result.structured_content
                assert (found["code"], found["details"]["field"]) == ("INVALID_PARAMS", field), found
                assert text(result).startswith("INVALID_PARAMS: ")
            missing = await agent.call_tool("meerkat_blob_get", {"blob_id": "sha256:" + "0" * 64})
            assert missing.structured_content["code"] == "BLOB_NOT_FOUND"
            with pytest.raises(MCPError) as unknown:
                await agent.call_tool("meerkat_fly", {})
            assert unknown.value.code == INVALID_PARAMS


async def test_a_create_whose_turn_failed_names_its_session(place: AgentPlace, model: GatedModel):
    with trio.fail_after(PATIENCE):
        async with place.agent() as agent:
            model.answers(400)
            failed = await agent.call_tool("meerkat_run", {"prompt": "hi"})
            assert failed.structured_content["code"] == "PROVIDER_ERROR"
            session_id = failed.structured_content["details"]["session_id"]
            model.answers("better")
            result = await agent.call_tool("meerkat_resume", {"session_id": session_id, "prompt": "again"})
            assert result.structured_content["text"] == "better"


async def test_streams_of_events_stay_open_between_calls(place: AgentPlace, model: GatedModel):
    with trio.fail_after(PATIENCE):
        async with place.agent() as agent:
            await agent.call_tool("meerkat_run", {"prompt": "hi"})
            opened = (await agent.call_tool("meerkat_event_stream_open", {"session_id": "last"})).structured_content
            stream = {"stream_id": opened["stream_id"]}

            async def read(**more) -> dict:
                return (await agent.call_tool("meerkat_event_stream_read", {**stream, **more})).structured_content

            assert (await read(timeout_ms=0))["status"] == "timeout"
            model.answers(ToolCall("nothing", {}))
            model.answers("told")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(agent.call_tool, "meerkat_resume", {"session_id": "last", "prompt": "go"})
                kinds = []
                while not kinds or kinds[-1] != "run_completed":
                    item = await read(no_timeout=True)
                    kinds.append(item["event"]["payload"]["type"])
            assert "tool_call_requested" in kinds
            assert kinds[0] == "run_started"
            closed = await agent.call_tool("meerkat_event_stream_close", stream)
            assert closed.structured_content == {**stream, "closed": True, "already_closed": False}
            assert (await read())["status"] == "closed"
            for _ in range(16):
                assert not (await agent.call_tool("meerkat_event_stream_open", {"session_id": "last"})).is_error
            full = await agent.call_tool("meerkat_event_stream_open", {"session_id": "last"})
            assert full.structured_content["code"] == "OVERLOADED"
