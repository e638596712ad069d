"""The task list of a session: what a model plans, kept beside the transcript so that it outlives a context.

The list is the session's, durable with each change, and shown to people by `session/read`.
"""

from collections.abc import Sequence
from typing import Protocol, get_args

from pydantic import Field

from ....contract.tool import Task, TaskState
from .tool import Arguments, BuiltinTool
from .workspace import ToolRefusal

# A plan, not a database: the whole list is read by the model each time.
MAX_TASKS = 100
MAX_TEXT_CHARS = 500
_MARKS: dict[TaskState, str] = {"pending": "[ ]", "in_progress": "[>]", "completed": "[x]", "cancelled": "[-]"}
assert set(_MARKS) == set(get_args(TaskState))


class TaskList(Protocol):
    """Where a session's tasks are kept."""

    def tasks(self) -> Sequence[Task]: ...

    async def keep(self, tasks: Sequence[Task]) -> None:
        """Replace them; durable when this returns."""
        ...


class TaskCreate(Arguments):
    text: str = Field(min_length=1, max_length=MAX_TEXT_CHARS)


class TaskUpdate(Arguments):
    id: int = Field(ge=1)
    state: TaskState | None = None
    text: str | None = Field(None, min_length=1, max_length=MAX_TEXT_CHARS)


class TaskShow(Arguments):
    pass


def task_tools(kept: TaskList) -> list[BuiltinTool]:
    async def create(arguments: TaskCreate) -> str:
        tasks = kept.tasks()
        if len(tasks) >= MAX_TASKS:
            raise ToolRefusal(f"The list has {MAX_TASKS} tasks, which is all that it can have.")
        number = max((task["id"] for task in tasks), default=0) + 1
        await kept.keep([*tasks, {"id": number, "text": arguments.text, "state": "pending"}])
        return f"Task {number} is on the list."

    async def update(arguments: TaskUpdate) -> str:
        tasks = kept.tasks()
        if not any(task["id"] == arguments.id for task in tasks):
            raise ToolRefusal(f"There is no task {arguments.id}.")
        await kept.keep([_changed(task, arguments) if task["id"] == arguments.id else task for task in tasks])
        return shown(kept.tasks())

    async def show(arguments: TaskShow) -> str:
        return shown(kept.tasks())

    return [
        BuiltinTool(
            name="task_create",
            level="safe",
            description="Put a task on this session's list.",
            arguments=TaskCreate,
            run=create,
        ),
        BuiltinTool(
            name="task_update",
            level="safe",
            description="Change the state or the text of a task; gives the list.",
            arguments=TaskUpdate,
            run=update,
        ),
        BuiltinTool(name="task_list", level="safe", description="This session's tasks.", arguments=TaskShow, run=show),
    ]


def _changed(task: Task, wanted: TaskUpdate) -> Task:
    return {"id": task["id"], "text": wanted.text or task["text"], "state": wanted.state or task["state"]}


def shown(tasks: Sequence[Task]) -> str:
    """The list as text."""
    return "\n".join(f"{task['id']}. {_MARKS[task['state']]} {task['text']}" for task in tasks) or "[No tasks.]"
