"""The built-in tools of a turn, as many as its level and its workspace allow."""

from collections.abc import Callable, Sequence
from typing import Any

from ....contract.tool import ToolLevel
from ...loop import ToolOutcome
from ...port import ToolSpec
from ..levels import reaches
from .reading import reading_tools
from .searching import searching_tools
from .shell import ShellSettings, shell_tools
from .tasks import TaskList, task_tools
from .tool import BuiltinTool
from .workspace import ToolRefusal
from .writing import writing_tools


class BuiltinTools:
    """A `toolbox.ToolSource` for one turn.

    Args:
        workspace: absolute, without links; without one there are no tools for files and no shell.
        timeout: seconds for a call of the tool of that name; asked at each.
    """

    def __init__(
        self,
        level: ToolLevel,
        *,
        workspace: str | None,
        tasks: TaskList,
        shell: Callable[[], ShellSettings],
        timeout: Callable[[str], float],
    ) -> None:
        tools = list(task_tools(tasks))
        if workspace is not None:
            tools += reading_tools(workspace) + searching_tools(workspace)
            tools += writing_tools(workspace) + shell_tools(workspace, shell)
        self.timeout = timeout
        self._tools: dict[str, BuiltinTool] = {tool.name: tool for tool in tools if reaches(level, tool.level)}

    def specs(self) -> Sequence[ToolSpec]:
        return [tool.spec() for tool in self._tools.values()]

    async def call(self, name: str, arguments: dict[str, Any], *, call_id: str) -> ToolOutcome:
        tool = self._tools[name]
        try:
            return ToolOutcome(content=await tool.run(tool.check(arguments)))
        except ToolRefusal as refusal:
            return ToolOutcome(content=str(refusal), is_error=True)
