"""A built-in tool: what the model sees of it, the level it needs, and what carries it out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ....contract.base import complaint
from ....contract.tool import ToolLevel
from ...port import ToolSpec
from .workspace import ToolRefusal


class Arguments(BaseModel):
    """Arguments of a tool. Unknown ones are refused, so that a model's misunderstanding does not pass for success; a
    number written as text is taken as one."""

    # Built at the first call: a daemon starts without.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltinTool:
    """One tool.

    Attributes:
        level: the lowest that has it.
        run: carries a call out; gives the text for the model. Raises ToolRefusal for what the model can do better.
    """

    name: str
    level: ToolLevel
    description: str
    arguments: type[Arguments]
    run: Callable[[Any], Awaitable[str]]

    def spec(self) -> ToolSpec:
        return ToolSpec(name=self.name, description=self.description, input_schema=_schema(self.arguments))

    def check(self, arguments: Mapping[str, Any]) -> Arguments:
        """The arguments, checked. Raises ToolRefusal, naming each that is wrong."""
        try:
            return self.arguments.model_validate(arguments)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
        said = "; ".join(f"{'.'.join(map(str, each['loc']))}: {complaint(each)}" for each in problems)
        raise ToolRefusal(f"The arguments do not fit: {said}.")


def _schema(arguments: type[Arguments]) -> dict[str, Any]:
    """JSON Schema without titles and docstrings, which say nothing that the names do not and cost tokens each time."""
    plain: dict[str, Any] = _without_titles(arguments.model_json_schema())
    return plain


def _without_titles(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_titles(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _without_titles(each) for key, each in node.items() if not (key == "title" and isinstance(each, str))}
    if kept.get("type") == "object":
        kept.pop("description", None)
    return kept
