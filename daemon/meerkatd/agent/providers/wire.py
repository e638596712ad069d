"""The seam between a provider's wire format and the driver that does the I/O.

A format is two pure things: `build` makes the HTTP request of a call, and an `AnswerParser` eats server-sent events and
gives back model events. Neither knows about sockets, clocks or retries, so each is tested with plain values.
"""

import json
import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...contract.message import AssistantBlock, ReasoningBlock, TextBlock, ToolUseBlock
from ..port import MALFORMED_ARGS, Completed, ModelRequest, ReasoningDelta, TextDelta
from .fault import Fault

Delta = TextDelta | ReasoningDelta

# Half a character, as JSON can spell it and UTF-8 cannot; and its escape.
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

# Arguments that are no JSON are quoted back to the model; more than this tells it nothing new.
MAX_MALFORMED_ARGS = 2000
# A frame may be 32 levels deep; what is around the arguments in an event or a page of history takes up to ten.
MAX_ARGS_DEPTH = 20
# What frames carry, which is the range of a double.
MAX_INTEGER_BITS = 1024


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One POST: the path is relative to the base URL and begins with a slash."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class AnswerParser(Protocol):
    """Eats one answer. One parser serves one attempt."""

    @property
    def done(self) -> bool:
        """Whether the answer is complete, so that nothing further needs to be read."""
        ...

    def feed(self, data: str) -> Sequence[Delta]:
        """Take the `data` of one server-sent event; gives what can be shown at once.

        Raises:
            Fault: the event reports an error, or is not what the format promises.
        """
        ...

    def close(self) -> Completed:
        """The whole answer, after the last event.

        Raises:
            Fault: kind "truncated", when no finish reason has come.
        """
        ...


class WireFormat(Protocol):
    """One provider's format; has no state, so one object serves all calls."""

    def build(self, request: ModelRequest, *, api_key: str | None) -> HttpCall: ...

    def parser(self) -> AnswerParser: ...


def truncated() -> Fault:
    return Fault("truncated", "The provider's answer ended without a finish reason.")


def malformed(what: str) -> Fault:
    return Fault("malformed", f"The provider sent {what}.")


def parsed_json(text: str) -> Any:
    """The value of `text`, its texts such that they can be stored and sent: a lone surrogate, as servers send it that
    cut an answer in the middle of a character, becomes U+FFFD.

    Raises:
        ValueError: it is no JSON.
    """
    value = json.loads(text)
    return _without_surrogates(value) if _ESCAPED_SURROGATE.search(text) else value


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [_without_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(each) for key, each in value.items()}
    return value


def event_object(data: str) -> dict[str, Any]:
    """The JSON object in an event's data.

    Raises:
        Fault: kind "malformed", when it is none.
    """
    try:
        value = parsed_json(data)
    except ValueError:
        raise malformed("an event that is not JSON") from None
    if not isinstance(value, dict):
        raise malformed("an event that is not an object")
    return value


def obj(value: Any) -> dict[str, Any]:
    """`value` where it is an object, else an empty one: providers leave fields out, or null, at will."""
    return value if isinstance(value, dict) else {}


def text_of(value: Any) -> str:
    """`value` where it is text, else the empty text."""
    return value if isinstance(value, str) else ""


def count(value: Any) -> int:
    """`value` where it is a number of tokens, else 0."""
    return value if isinstance(value, int) and value > 0 else 0


def text_block(text: str, meta: dict[str, Any] | None = None) -> TextBlock:
    return {"block_type": "text", "data": {"text": text, "meta": meta} if meta else {"text": text}}


def reasoning_block(text: str, meta: dict[str, Any] | None = None) -> ReasoningBlock:
    return {"block_type": "reasoning", "data": {"text": text, "meta": meta} if meta else {"text": text}}


def tool_use_block(call_id: str, name: str, args: dict[str, Any], meta: dict[str, Any] | None = None) -> ToolUseBlock:
    block: ToolUseBlock = {"block_type": "tool_use", "data": {"id": call_id, "name": name, "args": args}}
    if meta:
        block["data"]["meta"] = meta
    return block


def parsed_tool_use(call_id: str, name: str, arguments: str) -> ToolUseBlock:
    """A tool call out of its streamed arguments; no text at all is a call without arguments."""
    if not arguments.strip():
        return tool_use_block(call_id, name, {})
    try:
        args = parsed_json(arguments)
    except (ValueError, RecursionError):
        args = None
    return checked_tool_use(call_id, name, args, text=arguments)


def checked_tool_use(
    call_id: str, name: str, args: Any, meta: dict[str, Any] | None = None, *, text: str | None = None
) -> ToolUseBlock:
    """A tool call with arguments that can be stored, sent and shown; a malformed one when they cannot.

    Args:
        text: the arguments as they came; made from `args` when they came as a value.
    """
    if isinstance(args, dict) and portable(args):
        return tool_use_block(call_id, name, args, meta)
    quoted = repr(args) if text is None else text
    return tool_use_block(call_id, name, {}, {"provider": "unknown", MALFORMED_ARGS: quoted[:MAX_MALFORMED_ARGS]})


def portable(value: Any, depth: int = 0) -> bool:
    """Whether a value fits into a message of the wire: not too deep, and with numbers that every reader knows."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return depth < MAX_ARGS_DEPTH and all(portable(each, depth + 1) for each in inner)
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or value.bit_length() <= MAX_INTEGER_BITS


def with_unique_ids(blocks: Sequence[AssistantBlock]) -> list[AssistantBlock]:
    """The blocks with a fresh id for each tool call that has none, or one that a call before it has."""
    seen: set[str] = set()
    for block in blocks:
        if block["block_type"] == "tool_use":
            if not block["data"]["id"] or block["data"]["id"] in seen:
                block["data"]["id"] = f"call_{uuid.uuid4().hex}"
            seen.add(block["data"]["id"])
    return list(blocks)


def has_tool_use(blocks: Sequence[AssistantBlock]) -> bool:
    return any(block["block_type"] == "tool_use" for block in blocks)


def merged(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """`body` with `extra` laid over it; objects are merged field by field, anything else is replaced."""
    result = dict(body)
    for key, value in extra.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return result


def encoded(body: Mapping[str, Any]) -> bytes:
    """A body as the bytes of JSON; lone surrogates, which no UTF-8 has, go out as escapes."""
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(body, separators=(",", ":")).encode()
