"""The realm of a client: how it is chosen, its config, what the daemon can do there."""

import os
from pathlib import Path

import pytest
from tests.sdk.flavours import MODEL, World, played, raised, run
from tests.support.gated_model import ToolCall

from meerkat_client import (
    CapabilityUnavailableError,
    ConfigConflictError,
    RealmError,
    RequestError,
    SessionNotFoundError,
)


@played()
async def test_the_same_realm_shares_sessions_and_another_sees_nothing(world: World) -> None:
    async with world.client() as one, world.client() as two, world.client(isolated=True) as other:
        session = await world.create(one)
        assert (await two.read_session(session.id)).session_id == session.id
        assert await other.list_sessions() == []
        assert other.realm_id.startswith("realm-")
        await raised(SessionNotFoundError, other.read_session(session.id))


@played()
async def test_contradicting_choices_of_a_realm_are_refused_and_misspelt_ones_are_a_type_error(world: World) -> None:
    error = await raised(RequestError, world.client(realm_id="x", isolated=True).connect(realm_id="x"))
    assert error.code == "INVALID_PARAMS"
    with pytest.raises(TypeError, match="realm"):
        world.client(realm="x")


@played()
async def test_a_backend_that_contradicts_the_realm_is_refused(world: World) -> None:
    async with world.client() as client:
        await world.create(client)
        error = await raised(RealmError, world.client(realm_backend="memory").connect())
        assert error.code == "REALM_BACKEND_MISMATCH"


@played()
async def test_the_config_is_written_by_compare_and_set(world: World) -> None:
    async with world.client() as client:
        before = await client.get_config()
        written = await client.patch_config(
            {"agent": {"system_prompt": "Be kind."}}, expected_generation=before["generation"]
        )
        assert written["generation"] == before["generation"] + 1
        stale = client.set_config({}, expected_generation=before["generation"])
        error = await raised(ConfigConflictError, stale)
        assert error.expected_generation == before["generation"]
        assert error.current_generation == written["generation"]
        assert (await client.get_config())["config"]["agent"]["system_prompt"] == "Be kind."
        assert "agent" in (await client.get_config(effective=True))["config"]
        assert (await client.set_config({}))["config"] == {}


@played()
async def test_what_the_daemon_can_do_is_known_and_can_be_required(world: World) -> None:
    async with world.client() as client:
        assert client.has_capability("sessions")
        client.require_capability("sessions")
        assert not client.has_capability("mob")
        with pytest.raises(CapabilityUnavailableError):
            client.require_capability("mob")
        catalog = await client.get_models_catalog()
        openai = next(each for each in catalog.providers if each.provider == "openai")
        assert openai.configured
        assert openai.models
        assert client.info["server_info"]["name"] == "meerkatd"
        assert (await raised(RequestError, client.get_blob("sha256:" + "0" * 64))).code == "BLOB_NOT_FOUND"


@played()
async def test_servers_are_added_listed_and_taken_away(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        added = await client.mcp_add(session.id, "time", {"command": "mcp-server-time", "env": {"KEY": "hidden"}})
        assert (added["operation"], added["status"], added["persisted"]) == ("add", "staged", False)
        assert [each["name"] for each in await client.mcp_list(session.id)] == ["time"]
        assert await client.mcp_list() == []
        assert (await client.mcp_reload(session.id))["operation"] == "reload"
        await client.mcp_remove(session.id, "time")
        assert await client.mcp_list(session.id) == []
        assert (await raised(RequestError, client.mcp_remove(session.id, "time"))).code == "INVALID_PARAMS"


@played()
async def test_a_tool_that_is_asked_about_waits_for_the_first_answer(world: World) -> None:
    async with world.client() as client, world.client() as other:
        client.tool("write", description="")(_done)
        await client.set_config({"tools": {"policy": {"write": "ask"}}})
        world.model.answers(ToolCall("write", {"path": "a"}))
        world.model.answers("fine")
        async with client.create_session_streaming("go", model=MODEL) as stream:
            async for event in stream:
                if getattr(event, "type", None) == "approval_requested":
                    (asked,) = await other.list_approvals()
                    assert (await other.get_approval(asked["approval_id"]))["tool"] == "write"
                    await other.decide_approval(asked["approval_id"], "deny", reason="no")
            assert stream.result.text == "fine"
        late = await raised(RequestError, client.decide_approval(asked["approval_id"], "allow"))
        assert (late.code, late.details["state"]) == ("APPROVAL_DECIDED", "denied")


async def _done(arguments: object) -> str:
    return "done"


@pytest.mark.parametrize("flavour", ["asyncio", "blocking"])
def test_keys_come_from_the_environment_and_a_workspace_may_be_relative(
    flavour: str, house, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", house.model.url)
    options = {**house.options(), "credentials": None}
    world = World(flavour, house.model, options)

    async def body() -> None:
        async with world.client(workspace=".") as here, world.client(workspace=os.getcwd()) as same:
            session = await world.create(here)
            assert (await same.read_session(session.id)).session_id == session.id
            assert here.realm_id.startswith("ws-")

    run(flavour, body)
    assert house.model.keys == ["Bearer sk-environment"]
