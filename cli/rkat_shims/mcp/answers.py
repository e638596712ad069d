"""Results and errors of the daemon as what a client shows and a model reads.

A result is given twice, as MCP wants it: structured, and as text for clients that pass on text only. The text of a turn
is its answer, for that is what was asked for; everything else is in a second block.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mcp.types import CallToolResult, TextContent

from meerkat_client.errors import RkatError
from meerkat_client.wire.json_text import encode_json

from .tools import TURNS, Tool


def result(tool: Tool, method: str, value: Mapping[str, Any], *, expose_paths: bool) -> CallToolResult:
    """A tool's success."""
    shown = dict(value) if expose_paths else _without(value, tool.paths)
    blocks = [encode_json(shown)]
    if method in TURNS and "text" in shown:
        rest = {name: each for name, each in shown.items() if name != "text"}
        blocks = [shown["text"], encode_json(rest)]
    return CallToolResult(content=[_text(block) for block in blocks], structured_content=shown)


def failure(error: RkatError) -> CallToolResult:
    """A tool's failure: something that the caller can read, and act on."""
    fields = error_fields(error)
    about = f"\n{encode_json(error.details)}" if error.details else ""
    text = f"{error.code}: {error.message}\n{fields['hint']}{about}"
    return CallToolResult(content=[_text(text)], structured_content=fields, is_error=True)


def error_fields(error: RkatError) -> dict[str, Any]:
    """An error as `params.Error`."""
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "retryable": error.retryable,
        "details": error.details,
    }


def _text(text: str) -> TextContent:
    return TextContent(type="text", text=text)


def _without(value: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Without these fields, of the result and of the rows in its lists."""
    shown = {name: each for name, each in value.items() if name not in names}
    if names:
        for name, each in shown.items():
            if isinstance(each, list):
                shown[name] = [_without(row, names) if isinstance(row, dict) else row for row in each]
    return shown
