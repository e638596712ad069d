"""Tools that the program of a client carries out: what was declared, and how a call is answered. No I/O."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .errors import RkatError, from_wire
from .wire.faults import WireError
from .wire.framing import require_plain

F = TypeVar("F", bound=Callable[..., object])
# What every provider takes as a function's name.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_ANYTHING: Mapping[str, Any] = {"type": "object", "properties": {}}

METHOD = "tool/execute"
"""The request by which the daemon asks."""


@dataclass(frozen=True, slots=True)
class Tool(Generic[F]):
    """A declared tool."""

    name: str
    description: str
    input_schema: Mapping[str, Any]
    handler: F


class Toolbox(Generic[F]):
    """The tools of one client. `version` counts the declarations: a client knows by it what it has not offered yet."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool[F]] = {}
        self.version = 0

    def __bool__(self) -> bool:
        return bool(self._tools)

    def declare(self, name: str, description: str, input_schema: Mapping[str, Any] | None) -> Callable[[F], F]:
        """A decorator that adds its function under `name`; the same name replaces.

        Raises:
            RequestError: INVALID_PARAMS for a name that providers would not take, or a schema that is no JSON.
        """
        if not _NAME.fullmatch(name):
            raise RkatError(
                "INVALID_PARAMS",
                f"{name!r} is no name for a tool: it takes a letter or _, then up to 63 letters, digits, _ and -.",
                details={"field": "name"},
            )
        schema = dict(input_schema if input_schema is not None else _ANYTHING)
        try:
            require_plain(schema)
        except WireError as error:
            raise from_wire(error) from error

        def decorate(handler: F) -> F:
            self._tools[name] = Tool(name, description, schema, handler)
            self.version += 1
            return handler

        return decorate

    def definitions(self) -> list[dict[str, Any]]:
        """What `tools/register` takes."""
        return [
            {"name": tool.name, "description": tool.description, "input_schema": dict(tool.input_schema)}
            for tool in self._tools.values()
        ]

    def find(self, params: Mapping[str, Any]) -> Tool[F] | None:
        """The tool that a `tool/execute` calls."""
        return self._tools.get(str(params.get("name")))


def answer(content: object) -> dict[str, Any]:
    """What a tool returned, as the daemon takes it: text, or text blocks."""
    if not isinstance(content, str | list):
        raise TypeError(f"a tool returns text or a list of text blocks, not {type(content).__name__}")
    return {"content": content, "is_error": False}


def failure(tool: Tool[Any], error: Exception) -> dict[str, Any]:
    """The answer for a tool that raised: the model is told in short, the program's log has all of it."""
    # Here, because only a failure pays for it.
    import logging

    logging.getLogger(__name__).warning("the tool %s failed", tool.name, exc_info=error)
    return {"content": str(error) or type(error).__name__, "is_error": True}
