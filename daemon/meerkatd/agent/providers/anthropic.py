"""Wire format of Anthropic's messages API (version 2023-06-01).

Thinking comes with a signature, which the API wants to see again, unchanged, when the history is replayed; it is
kept in the block's `meta`. Thinking without one (cut off, or another provider's) cannot be replayed and is left out.

Prompt caching: the end of the system prompt and the end of the history are marked, so that the next call of the same
session reads its prefix from the cache. Prompts below the model's minimum are simply not cached.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...contract.message import AssistantBlock, StopReason
from ..port import Completed, FaultKind, ModelRequest, ReasoningDelta, TextDelta, TokenUsage
from .fault import Fault, clean
from .history import AssistantStep, UserStep, steps_of
from .wire import (
    Delta,
    HttpCall,
    count,
    encoded,
    event_object,
    merged,
    obj,
    parsed_tool_use,
    reasoning_block,
    text_block,
    text_of,
    tool_use_block,
    truncated,
)

API_VERSION = "2023-06-01"

# The API demands a limit. All current models allow this much, and no ordinary answer of an agent is longer.
DEFAULT_MAX_TOKENS = 16384

_STOP: dict[str, StopReason] = {
    "end_turn": "end_turn",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
    "pause_turn": "pause_turn",
    "model_context_window_exceeded": "context_window_exceeded",
}

_ERRORS: dict[str, tuple[FaultKind, int | None]] = {
    "invalid_request_error": ("bad_request", 400),
    "authentication_error": ("auth", 401),
    "billing_error": ("auth", 402),
    "permission_error": ("auth", 403),
    "not_found_error": ("not_found", 404),
    "request_too_large": ("bad_request", 413),
    "rate_limit_error": ("rate_limited", 429),
    "api_error": ("server", 500),
    "timeout_error": ("timeout", 504),
    "overloaded_error": ("overloaded", 529),
}

# Ids of tool calls that other providers gave may have characters that this API refuses.
_NOT_AN_ID = re.compile(r"[^A-Za-z0-9_-]")

_CACHE_MARK = {"type": "ephemeral"}


@dataclass(frozen=True, slots=True)
class AnthropicMessages:
    """The format has no options."""

    def build(self, request: ModelRequest, *, api_key: str | None) -> HttpCall:
        body: dict[str, Any] = {
            "model": request.model,
            "max_tokens": request.max_tokens or DEFAULT_MAX_TOKENS,
            "messages": _messages(request),
        }
        if request.system:
            body["system"] = [{"type": "text", "text": request.system, "cache_control": _CACHE_MARK}]
        if request.tools:
            body["tools"] = [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "input_schema": dict(tool.input_schema),
                }
                for tool in request.tools
            ]
        if request.temperature is not None:
            body["temperature"] = request.temperature
        body = merged(body, request.extra) | {"stream": True}
        headers = {"anthropic-version": API_VERSION}
        if api_key:
            headers["x-api-key"] = api_key
        return HttpCall("/v1/messages", headers, encoded(body))

    def parser(self) -> "AnthropicParser":
        return AnthropicParser()


def _messages(request: ModelRequest) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for step in steps_of(request.messages, request.images):
        if isinstance(step, UserStep):
            rows.append({"role": "user", "content": _user_blocks(step)})
            continue
        rows.append({"role": "assistant", "content": _assistant_blocks(step)})
    rows[-1]["content"][-1]["cache_control"] = _CACHE_MARK
    return rows


def _user_blocks(step: UserStep) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [
        {
            "type": "tool_result",
            "tool_use_id": _NOT_AN_ID.sub("_", result.call_id),
            "content": result.text,
            "is_error": result.is_error,
        }
        for result in step.results
    ]
    blocks.extend(
        {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": image.base64}}
        for image in step.images
    )
    blocks.extend({"type": "text", "text": text} for text in step.texts)
    return blocks


def _assistant_blocks(step: AssistantStep) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for block in step.blocks:
        if block["block_type"] == "tool_use":
            call = block["data"]
            blocks.append(
                {
                    "type": "tool_use",
                    "id": _NOT_AN_ID.sub("_", call["id"]),
                    "name": call["name"],
                    "input": call["args"],
                }
            )
        elif block["block_type"] == "text":
            if block["data"]["text"].strip():
                blocks.append({"type": "text", "text": block["data"]["text"]})
        else:
            meta, text = block["data"].get("meta", {}), block["data"].get("text", "")
            if meta.get("provider") == "anthropic" and meta.get("signature"):
                blocks.append({"type": "thinking", "thinking": text, "signature": meta["signature"]})
            elif meta.get("provider") == "anthropic_redacted":
                blocks.append({"type": "redacted_thinking", "data": meta["data"]})
    return blocks or [{"type": "text", "text": "(empty)"}]


class AnthropicParser:
    """One answer as it arrives: typed events in, deltas out, the whole at the end."""

    def __init__(self) -> None:
        self.done = False
        self._blocks: dict[int, dict[str, Any]] = {}
        self._stop: str | None = None
        self._usage: dict[str, int] = {}

    def feed(self, data: str) -> Sequence[Delta]:
        event = event_object(data)
        kind = event.get("type")
        if kind == "content_block_delta":
            return self._delta(event)
        if kind == "content_block_start":
            return self._start(event)
        if kind == "message_start":
            self._count(obj(obj(event.get("message")).get("usage")))
        elif kind == "message_delta":
            self._stop = text_of(obj(event.get("delta")).get("stop_reason")) or self._stop
            self._count(obj(event.get("usage")))
        elif kind == "message_stop":
            self.done = True
        elif kind == "error":
            raise _error(obj(event.get("error")))
        return ()

    def _start(self, event: dict[str, Any]) -> Sequence[Delta]:
        block = obj(event.get("content_block"))
        self._blocks[count(event.get("index"))] = {
            "type": block.get("type"),
            "text": [text_of(block.get("text")) or text_of(block.get("thinking"))],
            "signature": [text_of(block.get("signature"))],
            "json": [],
            "block": block,
        }
        text = text_of(block.get("text"))
        return (TextDelta(text),) if text and block.get("type") == "text" else ()

    def _delta(self, event: dict[str, Any]) -> Sequence[Delta]:
        block = self._blocks.get(count(event.get("index")))
        delta = obj(event.get("delta"))
        if block is None:
            return ()
        if delta.get("type") == "text_delta":
            text = text_of(delta.get("text"))
            block["text"].append(text)
            return (TextDelta(text),) if text else ()
        if delta.get("type") == "thinking_delta":
            text = text_of(delta.get("thinking"))
            block["text"].append(text)
            return (ReasoningDelta(text),) if text else ()
        if delta.get("type") == "signature_delta":
            block["signature"].append(text_of(delta.get("signature")))
        elif delta.get("type") == "input_json_delta":
            block["json"].append(text_of(delta.get("partial_json")))
        return ()

    def _count(self, usage: dict[str, Any]) -> None:
        """Later counts are totals too, but a null or a missing one says nothing."""
        for key, value in usage.items():
            if isinstance(value, int):
                self._usage[key] = value

    def close(self) -> Completed:
        if self._stop is None:
            raise truncated()
        blocks = [block for _, raw in sorted(self._blocks.items()) if (block := _finished(raw)) is not None]
        created = count(self._usage.get("cache_creation_input_tokens"))
        read = count(self._usage.get("cache_read_input_tokens"))
        return Completed(
            blocks=blocks,
            stop_reason=_STOP.get(self._stop, "end_turn"),
            usage=TokenUsage(
                # Here the API counts only what was neither written to nor read from the cache.
                input_tokens=count(self._usage.get("input_tokens")) + created + read,
                output_tokens=count(self._usage.get("output_tokens")),
                cache_creation_tokens=created,
                cache_read_tokens=read,
            ),
        )


def _finished(raw: dict[str, Any]) -> AssistantBlock | None:
    """The block of the transcript; None for kinds that we never ask for."""
    text, signature = "".join(raw["text"]), "".join(raw["signature"])
    match raw["type"]:
        case "text":
            return text_block(text) if text else None
        case "thinking":
            return reasoning_block(text, {"provider": "anthropic", "signature": signature} if signature else None)
        case "redacted_thinking":
            return {
                "block_type": "reasoning",
                "data": {"meta": {"provider": "anthropic_redacted", "data": text_of(raw["block"].get("data"))}},
            }
        case "tool_use":
            call_id, name = text_of(raw["block"].get("id")), text_of(raw["block"].get("name"))
            if not raw["json"] and raw["block"].get("input"):
                return tool_use_block(call_id, name, obj(raw["block"]["input"]))
            return parsed_tool_use(call_id, name, "".join(raw["json"]))
    return None


def _error(error: dict[str, Any]) -> Fault:
    message = clean(text_of(error.get("message"))) or "it gave no reason"
    unknown: tuple[FaultKind, int | None] = ("server", None)
    kind, status = _ERRORS.get(text_of(error.get("type")), unknown)
    return Fault(kind, f"The provider reported an error in its answer: {message}", status=status)
