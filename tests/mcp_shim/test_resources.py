"""Sessions as resources, by the official client."""

import json

import pytest
import trio
from mcp import MCPError
from mcp.types import INVALID_PARAMS, ResourceTemplateReference
from tests.mcp_shim.agent_kit import AgentPlace
from tests.support.gated_model import GatedModel

PATIENCE = 60


async def test_sessions_are_listed_read_and_completed(place: AgentPlace, model: GatedModel):
    with trio.fail_after(PATIENCE):
        async with place.agent() as agent:
            assert (await agent.list_resources()).resources == []
            ran = (await agent.call_tool("meerkat_run", {"prompt": "say hi"})).structured_content
            (row,) = (await agent.list_resources()).resources
            uri = f"meerkat://sessions/{ran['session_id']}"
            assert (row.uri, row.title, row.mime_type) == (uri, "say hi", "application/json")
            read = json.loads((await agent.read_resource(uri)).contents[0].text)
            assert read["last_assistant_text"] == ran["text"]
            page = json.loads((await agent.read_resource(f"{uri}/history?offset=1&limit=1")).contents[0].text)
            assert [each["role"] for each in page["messages"]] == ["block_assistant"]
            templates = [each.uri_template for each in (await agent.list_resource_templates()).resource_templates]
            for template in templates:
                reference = ResourceTemplateReference(uri=template)
                found = await agent.complete(reference, {"name": "id", "value": ran["session_id"][:5]})
                assert found.completion.values == [ran["session_id"]]
                none = await agent.complete(reference, {"name": "id", "value": "nothing"})
                assert none.completion.values == []
            for wrong in (
                "meerkat://sessions/",
                "meerkat://sessions/~9",
                "meerkat://realms/x",
                "file:///etc/passwd",
                f"{uri}/history?limit=many",
                f"{uri}?limit=1",
            ):
                with pytest.raises(MCPError) as error:
                    await agent.read_resource(wrong)
                assert error.value.code == INVALID_PARAMS, wrong
            with pytest.raises(MCPError) as error:
                await agent.list_resources(cursor="not ours")
            assert error.value.code == INVALID_PARAMS


async def test_many_sessions_come_in_pages(place: AgentPlace):
    with trio.fail_after(PATIENCE):
        async with place.agent() as agent:
            for number in range(101):
                arguments = {"prompt": f"p{number}", "initial_turn": "deferred"}
                assert not (await agent.call_tool("meerkat_run", arguments)).is_error
            first = await agent.list_resources()
            rest = await agent.list_resources(cursor=first.next_cursor)
            assert (len(first.resources), len(rest.resources), rest.next_cursor) == (100, 1, None)


async def test_changes_are_told_to_who_asked(place: AgentPlace, model: GatedModel):
    heard: list[tuple[str, str | None]] = []
    more = trio.Event()

    async def hear(message) -> None:
        nonlocal more
        if hasattr(message, "method"):
            heard.append((message.method, getattr(message.params, "uri", None)))
            more.set()
            more = trio.Event()

    with trio.fail_after(PATIENCE):
        async with place.agent("--realm", "watched", message_handler=hear) as agent:
            ran = (await agent.call_tool("meerkat_run", {"prompt": "hi"})).structured_content
            uri = f"meerkat://sessions/{ran['session_id']}"
            await agent.subscribe_resource(uri)
            heard.clear()
            async with place.agent("--realm", "watched") as other:
                await other.call_tool("meerkat_resume", {"session_id": "last", "prompt": "go"})
            while heard.count(("notifications/resources/updated", uri)) < 2:
                await more.wait()
            await agent.unsubscribe_resource(uri)
            with pytest.raises(MCPError):
                await agent.subscribe_resource("meerkat://sessions/~9")
            await agent.call_tool("meerkat_archive", {"session_id": "last"})
            while ("notifications/resources/list_changed", None) not in heard:
                await more.wait()
