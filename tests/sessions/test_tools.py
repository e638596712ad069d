"""The built-in tools in turns: the level of the session and of the turn, the workspace, the task list."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.sessions.conftest import Bench
from tests.support.scripted_provider import tool_call

from meerkatd.sessions.request import AgentOptions


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "notes.txt").write_text("remember the milk\n")
    return folder


async def created(bench: Bench, **options) -> str:
    bench.provider.answers("hi")
    session_id, turn = await bench.create(options=AgentOptions(**options))
    assert turn is not None
    await turn.done.wait()
    return session_id


def offered(bench: Bench) -> set[str]:
    return {spec.name for spec in bench.provider.requests[-1].tools}


async def test_a_session_with_a_workspace_reads_and_one_without_has_nothing(bench: Bench, workspace: Path):
    await created(bench, workspace=str(workspace))
    assert {"read_file", "task_list"} <= offered(bench)
    assert "write_file" not in offered(bench)
    await created(bench)
    assert offered(bench) == set()


async def test_the_level_of_a_session_stays_and_that_of_a_turn_is_for_the_turn(bench: Bench, workspace: Path):
    session_id = await created(bench, workspace=str(workspace), tools="workspace")
    for tools, has_shell in (("full", True), (None, False)):
        bench.provider.answers("ok")
        turn = await bench.start(session_id, options=AgentOptions(tools=tools))
        await turn.done.wait()
        assert ("shell" in offered(bench)) is has_shell
        assert "write_file" in offered(bench)
    info = await bench.sessions.read(session_id)
    assert (info["tools"], info["workspace"]) == ("workspace", str(workspace))


async def test_a_file_is_read_and_the_ledger_has_the_call(bench: Bench, workspace: Path):
    session_id = await created(bench, workspace=str(workspace))
    bench.provider.answers(tool_call("read_file", path="notes.txt"))
    bench.provider.answers("done")
    turn = await bench.start(session_id)
    await turn.done.wait()
    results = (await bench.history(session_id))[-2]["results"]
    assert results == [{"tool_use_id": "call_1", "content": "remember the milk", "is_error": False}]
    ledger = (await bench.sessions.turn(session_id, None))["tool_calls"]
    assert [(call["name"], call["fate"]) for call in ledger] == [("read_file", "ran")]


async def test_the_task_list_is_the_sessions_and_outlives_its_turns(bench: Bench):
    session_id = await created(bench, tools="safe")
    bench.provider.answers(tool_call("task_create", text="look"))
    bench.provider.answers(tool_call("task_update", id=1, state="in_progress"))
    bench.provider.answers("done")
    await (await bench.start(session_id)).done.wait()
    assert (await bench.sessions.read(session_id))["tasks"] == [{"id": 1, "text": "look", "state": "in_progress"}]
    row = await bench.store.session(session_id)
    assert '"in_progress"' in row.meta


async def test_a_task_and_a_message_that_come_together_are_both_kept(bench: Bench):
    session_id = await created(bench, tools="safe")
    bench.provider.answers(tool_call("task_create", text="look"))
    bench.provider.answers("done")
    turn = await bench.start(session_id)
    await bench.sessions.inject(session_id, "by the way", source=None)
    await turn.done.wait()
    assert [task["text"] for task in (await bench.sessions.read(session_id))["tasks"]] == ["look"]
    assert "by the way" in [message.get("content") for message in await bench.history(session_id)]


async def test_a_fork_has_the_tools_and_not_the_tasks(bench: Bench, workspace: Path):
    session_id = await created(bench, workspace=str(workspace), tools="workspace")
    bench.provider.answers(tool_call("task_create", text="look"))
    bench.provider.answers("done")
    await (await bench.start(session_id)).done.wait()
    from tests.sessions.conftest import CALLER

    fork = await bench.sessions.read(await bench.sessions.fork(session_id, 1, caller=replace(CALLER)))
    assert (fork["tools"], fork["workspace"]) == ("workspace", str(workspace))
    assert "tasks" not in fork
