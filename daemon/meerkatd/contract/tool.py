"""Tools: how much the built-in ones may do, the task list, and those that a connected client carries out."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from .base import JsonObject, Params, Text

# The pattern is what all providers accept as a function's name.
ToolName = Annotated[Text, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]

ToolLevel = Literal["none", "safe", "workspace", "full"]
"""none: no built-in tools. safe: read, list and search files, the task list. workspace: write and patch files, too.
full: a shell, too."""

ToolVerdict = Literal["allow", "ask", "deny"]
"""ask: a person is asked before each call. deny: it is offered, and each call is refused."""

TaskState = Literal["pending", "in_progress", "completed", "cancelled"]


class Task(TypedDict):
    """One task of a session's list."""

    id: int
    text: str
    state: TaskState


class ToolDefinition(Params):
    name: ToolName
    description: Text
    input_schema: JsonObject


class ToolsRegister(Params):
    """`tools/register`: offer tools to the turns of this realm for as long as this connection lives.

    The same name replaces. A turn that calls one asks this connection by the request `tool/execute`.
    """

    tools: Annotated[list[ToolDefinition], Field(max_length=256)]


class ToolsRegistered(TypedDict):
    """Result of `tools/register`."""

    registered: int


class ToolExecute(TypedDict):
    """Params of the server's request `tool/execute`. The client answers `{content, is_error}`."""

    tool_use_id: str
    name: str
    arguments: dict[str, Any]
