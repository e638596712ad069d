"""Which tools a turn has."""

import os
from pathlib import Path

import pytest
from tests.agent.tools.conftest import Bench

from meerkatd.agent.tools.levels import LADDER, level_of

TASKS = {"task_create", "task_update", "task_list"}
READING = TASKS | {"read_file", "list_files", "search_files"}
WRITING = READING | {"write_file", "patch_file"}


@pytest.mark.parametrize(
    ("level", "names"), [("none", set()), ("safe", READING), ("workspace", WRITING), ("full", WRITING | {"shell"})]
)
def test_a_level_has_its_tools_and_those_below_it(bench: Bench, level, names):
    assert {spec.name for spec in bench.tools(level).specs()} == names


@pytest.mark.parametrize("level", LADDER[1:])
def test_without_a_workspace_there_are_no_files_and_no_shell(bench: Bench, level):
    assert {spec.name for spec in bench.tools(level, workspace=False).specs()} == TASKS


async def test_a_tool_above_the_level_cannot_be_called_by_its_name(bench: Bench):
    outcome = await bench.tools("safe").call("write_file", {"path": "a", "content": "b"}, call_id="call_1")
    assert outcome.is_error
    assert list(bench.root.iterdir()) == []


def test_the_first_choice_counts_and_reading_is_what_nobody_chose():
    assert level_of("full", "none", workspace="/w", kind="openai") == "full"
    assert level_of(None, "none", workspace="/w", kind="openai") == "none"
    assert level_of(None, None, workspace="/w", kind="openai") == "safe"
    assert level_of("safe", workspace="/w", kind="local") == "safe"
    assert level_of("full", workspace="/w", kind="local", most="safe") == "safe"
    assert level_of("none", workspace="/w", kind="local", most="safe") == "none"


@pytest.mark.parametrize("folder", ["home", "above", "root", None])
def test_without_a_choice_nothing_is_read_where_there_is_no_project(folder, tmp_path: Path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    places = {"home": str(home), "above": str(tmp_path), "root": "/", None: None}
    assert level_of(None, workspace=places[folder], kind="openai") == "none"
    assert level_of(None, workspace=os.path.join(home, "project"), kind="openai") == "safe"
    assert level_of(None, workspace=os.path.join(home, "project"), kind="local") == "none"


def test_every_schema_is_of_an_object_that_takes_nothing_else(bench: Bench):
    for spec in bench.tools("full").specs():
        assert spec.input_schema["type"] == "object"
        assert spec.input_schema["additionalProperties"] is False
        assert "title" not in spec.input_schema
