"""The built-in tools over a folder of the test's own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from meerkatd.agent.loop import ToolOutcome
from meerkatd.agent.tools.builtin import BuiltinTools
from meerkatd.agent.tools.builtin.shell import ShellSettings
from meerkatd.agent.tools.toolbox import Toolbox
from meerkatd.contract.tool import Task, ToolLevel


class Tasks:
    """A task list in memory."""

    def __init__(self) -> None:
        self.kept: Sequence[Task] = ()

    def tasks(self) -> Sequence[Task]:
        return self.kept

    async def keep(self, tasks: Sequence[Task]) -> None:
        self.kept = tasks


@dataclass
class Bench:
    """A workspace and what a test does with it."""

    root: Path
    tasks: Tasks = field(default_factory=Tasks)
    timeout: float = 60.0

    def tools(self, level: ToolLevel = "full", *, workspace: bool = True) -> Toolbox:
        builtin = BuiltinTools(
            level,
            workspace=str(self.root) if workspace else None,
            tasks=self.tasks,
            shell=ShellSettings,
            timeout=lambda name: self.timeout,
        )
        return Toolbox([builtin])

    async def call(self, name: str, **arguments: Any) -> ToolOutcome:
        return await self.tools().call(name, arguments, call_id="call_1")

    async def ok(self, name: str, **arguments: Any) -> str:
        """The content of a call that works."""
        outcome = await self.call(name, **arguments)
        assert not outcome.is_error, outcome.content
        return outcome.content

    async def refused(self, name: str, **arguments: Any) -> str:
        """What the model is told of a call that does not."""
        outcome = await self.call(name, **arguments)
        assert outcome.is_error, outcome.content
        return outcome.content


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = tmp_path / "workspace"
    root.mkdir()
    return Bench(root.resolve())
