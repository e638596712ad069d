"""Messages as people read them: who, when, what; on stdout."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from . import output
from .terminal import Style, cut, visible_line, width
from .times import moment

_NAMES = {
    "user": "user",
    "block_assistant": "assistant",
    "assistant": "assistant",
    "tool_results": "tools",
    "system": "system",
    "system_notice": "notice",
}
# Of a tool's arguments and results, unless everything is asked for.
_BRIEF_COLUMNS = 200


def show(messages: Sequence[dict[str, Any]], *, first: int, verbose: bool) -> None:
    """Write messages.

    Args:
        first: number of the first one within its session.
        verbose: with reasoning, and with tools in full.
    """
    style = Style(sys.stdout)
    for number, message in enumerate(messages, start=first):
        role = _NAMES.get(message["role"], message["role"])
        when = moment(message.get("created_at", ""))
        print(f"{style.bold(f'#{number} {visible_line(role)}')}  {style.dim(visible_line(when))}")
        for text in _texts(message, style, verbose=verbose):
            output.text(text if text.endswith("\n") else f"{text}\n")
        if message.get("stop_reason") == "cancelled":
            print(style.dim("[cut off by an interrupt]"))
        print()


def _texts(message: dict[str, Any], style: Style, *, verbose: bool) -> list[str]:
    match message["role"]:
        case "block_assistant":
            blocks = (_block(block, verbose=verbose) for block in message["blocks"])
            return [text for text in blocks if text]
        case "tool_results":
            return [_result(result, verbose=verbose) for result in message["results"]]
        case "system_notice":
            return [message["body"]]
        case _:
            return [_content(message["content"])]


def _block(block: dict[str, Any], *, verbose: bool) -> str:
    data = block["data"]
    match block["block_type"]:
        case "text":
            return str(data["text"])
        case "reasoning":
            return f"({data['text']})" if verbose and data.get("text") else ""
        case "tool_use":
            return _brief(f"→ {data['name']} {json.dumps(data['args'], ensure_ascii=False)}", verbose=verbose)
        case other:
            return f"[{other}]"


def _result(result: dict[str, Any], *, verbose: bool) -> str:
    sign = "✗" if result["is_error"] else "←"
    return _brief(f"{sign} {_content(result['content'])}", verbose=verbose)


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(_part(block) for block in content)


def _part(block: dict[str, Any]) -> str:
    if block.get("type") == "image":
        return f"[{block['media_type']} {block['blob_id']}]"
    return str(block.get("text", f"[{block.get('type')}]"))


def _brief(text: str, *, verbose: bool) -> str:
    return text if verbose else cut(visible_line(text), min(width(), _BRIEF_COLUMNS))
