"""JSON Schema of what tools take and give, out of the contract's shapes.

A failure has the same place in a result as a success, and clients exist that hold failures too against the schema. So
every schema says that it may be either.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from .params import Error
from .tools import Tool

_DEFINITIONS = "$defs"


def input_schema(tool: Tool) -> dict[str, Any]:
    """What the tool takes; nothing else is taken."""
    schema = tool.params.model_json_schema()
    without(schema, tool.hides)
    # What the method's own page says is for those who send methods.
    schema.pop("description", None)
    _untitled(schema)
    return schema


def output_schema(tool: Tool, *, expose_paths: bool) -> dict[str, Any]:
    """What the tool gives: its result, or an error."""
    schema = TypeAdapter(tool.result).json_schema()
    if not expose_paths:
        without(schema, tool.paths)
    error = TypeAdapter(Error).json_schema()
    definitions = {**schema.pop(_DEFINITIONS, {}), "Error": error}
    either = [*schema.pop("anyOf", [schema]), {"$ref": f"#/{_DEFINITIONS}/Error"}]
    whole = {"type": "object", "anyOf": either, _DEFINITIONS: definitions}
    _untitled(whole)
    return whole


def without(schema: Any, names: Sequence[str]) -> None:
    """Take fields out of every object of a schema, in place."""
    if isinstance(schema, list):
        for each in schema:
            without(each, names)
    if not isinstance(schema, dict):
        return
    properties = schema.get("properties")
    if isinstance(properties, dict):
        for name in names:
            properties.pop(name, None)
        if "required" in schema:
            schema["required"] = [name for name in schema["required"] if name not in names]
    for each in schema.values():
        without(each, names)


def _untitled(schema: Any) -> None:
    """Without the titles that pydantic makes out of names: a model pays for each word that it reads."""
    if isinstance(schema, list):
        for each in schema:
            _untitled(each)
    if isinstance(schema, dict):
        # A field may be called so; its value is a schema then.
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for each in schema.values():
            _untitled(each)
