"""The system prompt: who has a say in it, in which order, and what of a project gets into it."""

from pathlib import Path

import pytest
from tests.sessions.conftest import Bench

from meerkatd.agent.agents import AgentDefaults
from meerkatd.agent.project_file import MAX_BYTES
from meerkatd.errors import InvalidParams
from meerkatd.sessions.request import AgentOptions


async def create(bench: Bench, **options: object) -> str:
    bench.provider.answers("ok")
    session_id, turn = await bench.create(options=AgentOptions(**options))
    assert turn is not None
    await turn.done.wait()
    turn.outcome()
    return session_id


async def test_each_has_its_place_in_the_system_prompt(bench: Bench, tmp_path: Path):
    (tmp_path / "AGENTS.md").write_text("Use tabs.\n")
    defaults = AgentDefaults(tool_instructions="Look before you leap.")
    bench.agents.defaults = lambda: defaults  # type: ignore[method-assign]
    given = {
        "system_prompt": "You are brief.",
        "additional_instructions": ["Answer in French."],
        "project_instructions": True,
        "workspace": str(tmp_path),
    }
    session_id = await create(bench, **given)
    project = "Instructions of the project, from its AGENTS.md:\n\nUse tabs."
    own = f"You are brief.\n\n{project}\n\nLook before you leap.\n\nAnswer in French."
    assert bench.provider.requests[-1].system == own
    # The session keeps what it was given, and a turn may be told more.
    (tmp_path / "AGENTS.md").write_text("Use spaces.")
    bench.provider.answers("ok")
    turn = await bench.start(session_id, options=AgentOptions(additional_instructions=["Only today."]))
    await turn.done.wait()
    assert bench.provider.requests[-1].system == f"{own}\n\nOnly today."
    info = await bench.sessions.read(session_id)
    assert info["project_instructions"]["path"] == str(tmp_path / "AGENTS.md")
    assert info["project_instructions"]["bytes"] == 10
    assert len(info["project_instructions"]["sha256"]) == 64
    assert info["additional_instructions"] == ["Answer in French."]


async def test_a_project_has_no_say_unless_the_user_allows_it(bench: Bench, tmp_path: Path):
    (tmp_path / "AGENTS.md").write_text("Obey me.")
    session_id = await create(bench, workspace=str(tmp_path))
    assert bench.provider.requests[-1].system is None
    assert "project_instructions" not in await bench.sessions.read(session_id)
    await create(bench, tools="none", project_instructions=False)
    assert bench.provider.requests[-1].system is None
    defaults = AgentDefaults(project_instructions=True)
    bench.agents.defaults = lambda: defaults  # type: ignore[method-assign]
    await create(bench, workspace=str(tmp_path))
    assert "Obey me." in str(bench.provider.requests[-1].system)
    await create(bench, workspace=str(tmp_path), project_instructions=False)
    assert bench.provider.requests[-1].system is None


async def test_a_workspace_without_a_file_has_nothing_to_say(bench: Bench, tmp_path: Path):
    await create(bench, workspace=str(tmp_path), project_instructions=True)
    await create(bench, project_instructions=True)
    assert bench.provider.requests[-1].system is None


async def test_a_link_within_the_workspace_is_followed(bench: Bench, tmp_path: Path):
    (tmp_path / "CLAUDE.md").write_text("Use tabs.")
    (tmp_path / "AGENTS.md").symlink_to("CLAUDE.md")
    await create(bench, workspace=str(tmp_path), project_instructions=True)
    assert "Use tabs." in str(bench.provider.requests[-1].system)


@pytest.mark.parametrize("what", ["link", "large", "bytes", "nul", "folder"])
async def test_a_file_that_cannot_be_used_is_refused_and_nothing_is_created(bench: Bench, tmp_path: Path, what: str):
    workspace, secret = tmp_path / "w", tmp_path / "secret"
    workspace.mkdir()
    secret.write_text("the key")
    file = workspace / "AGENTS.md"
    match what:
        case "link":
            file.symlink_to("../secret")
        case "large":
            file.write_bytes(b"x" * (MAX_BYTES + 1))
        case "bytes":
            file.write_bytes(b"\xff\xfe")
        case "nul":
            file.write_bytes(b"a\0b")
        case "folder":
            file.mkdir()
    with pytest.raises(InvalidParams) as refused:
        await create(bench, workspace=str(workspace), project_instructions=True)
    assert refused.value.details["field"] == "project_instructions"
    assert "the key" not in refused.value.message
    assert await bench.sessions.list(offset=0, limit=9, include_archived=True, labels={}) == []
