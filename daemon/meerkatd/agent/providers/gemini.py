"""Wire format of Google's Gemini API (v1beta, streamGenerateContent as server-sent events).

Thought signatures come with any kind of part, and the API wants them back in the very part that carried them: a
part with a signature is therefore kept as a block of its own and never merged with a neighbour. From Gemini 3 on the
API refuses a tool call without one; for calls that another model made, its documentation names the placeholder used
here.

Function calls have no id, or have one, as the API pleases; those without get one from us.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ...contract.message import AssistantBlock, StopReason
from ..port import Completed, ModelRequest, ReasoningDelta, TextDelta, TokenUsage
from .fault import Fault, clean, kind_of_status
from .history import AssistantStep, UserStep, steps_of
from .wire import (
    Delta,
    HttpCall,
    checked_tool_use,
    count,
    encoded,
    event_object,
    has_tool_use,
    malformed,
    merged,
    obj,
    reasoning_block,
    text_block,
    text_of,
    truncated,
    with_unique_ids,
)

FOREIGN_SIGNATURE = "skip_thought_signature_validator"

# Families that do not know signatures on calls.
_WITHOUT_SIGNATURES = ("gemini-1", "gemini-2")

_FILTERED = frozenset({"SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"})
_BROKEN_CALL = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"})


@dataclass(frozen=True, slots=True)
class GeminiGenerate:
    """The format has no options."""

    def build(self, request: ModelRequest, *, api_key: str | None) -> HttpCall:
        body: dict[str, Any] = {"contents": _contents(request)}
        if request.system:
            body["systemInstruction"] = {"parts": [{"text": request.system}]}
        if request.tools:
            declarations = [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "parametersJsonSchema": dict(tool.input_schema),
                }
                for tool in request.tools
            ]
            body["tools"] = [{"functionDeclarations": declarations}]
        config: dict[str, Any] = {}
        if request.max_tokens is not None:
            config["maxOutputTokens"] = request.max_tokens
        if request.temperature is not None:
            config["temperature"] = request.temperature
        if request.output_format is not None:
            config["responseMimeType"] = "application/json"
            config["responseJsonSchema"] = dict(request.output_format.schema)
        if config:
            body["generationConfig"] = config
        headers = {"x-goog-api-key": api_key} if api_key else {}
        path = f"/v1beta/models/{quote(request.model, safe='')}:streamGenerateContent?alt=sse"
        return HttpCall(path, headers, encoded(merged(body, request.extra)))

    def parser(self) -> "GeminiParser":
        return GeminiParser()


def _contents(request: ModelRequest) -> list[dict[str, Any]]:
    signed = not request.model.startswith(_WITHOUT_SIGNATURES)
    return [
        {"role": "user", "parts": _user_parts(step)}
        if isinstance(step, UserStep)
        else {"role": "model", "parts": _model_parts(step, signed=signed)}
        for step in steps_of(request.messages, request.images)
    ]


def _user_parts(step: UserStep) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [
        {
            "functionResponse": {
                "id": result.call_id,
                "name": result.name,
                "response": {"error" if result.is_error else "output": result.text},
            }
        }
        for result in step.results
    ]
    parts.extend({"inlineData": {"mimeType": image.media_type, "data": image.base64}} for image in step.images)
    parts.extend({"text": text} for text in step.texts)
    return parts


def _model_parts(step: AssistantStep, *, signed: bool) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for block in step.blocks:
        meta = block["data"].get("meta", {})
        signature = meta.get("thoughtSignature") if meta.get("provider") == "gemini" else None
        part: dict[str, Any]
        if block["block_type"] == "tool_use":
            call = block["data"]
            part = {"functionCall": {"id": call["id"], "name": call["name"], "args": call["args"]}}
        elif block["block_type"] == "text":
            part = {"text": block["data"]["text"]}
        elif signature:
            part = {"text": block["data"].get("text", ""), "thought": True}
        else:
            continue
        if signature:
            part["thoughtSignature"] = signature
        parts.append(part)
    calls = [part for part in parts if "functionCall" in part]
    if signed and calls and not any("thoughtSignature" in part for part in calls):
        calls[0]["thoughtSignature"] = FOREIGN_SIGNATURE
    return parts or [{"text": "(empty)"}]


class GeminiParser:
    """One answer as it arrives: whole responses in, deltas out, the whole at the end.

    The stream has no last event: the end of the body is the end, so `done` stays False.
    """

    done = False

    def __init__(self) -> None:
        self._blocks: list[AssistantBlock] = []
        self._finish: str | None = None
        self._usage = TokenUsage()

    def feed(self, data: str) -> Sequence[Delta]:
        response = event_object(data)
        if response.get("error"):
            raise _error(obj(response["error"]))
        if isinstance(response.get("usageMetadata"), dict):
            self._usage = _usage(response["usageMetadata"])
        if text_of(obj(response.get("promptFeedback")).get("blockReason")):
            self._finish = "SAFETY"
        candidates = response.get("candidates") or []
        if not isinstance(candidates, list):
            raise malformed("a response whose candidates are no list")
        if not candidates:
            return ()
        candidate = obj(candidates[0])
        self._finish = text_of(candidate.get("finishReason")) or self._finish
        shown: list[Delta] = []
        for part in obj(candidate.get("content")).get("parts") or ():
            shown.extend(self._part(obj(part)))
        return shown

    def _part(self, part: dict[str, Any]) -> Sequence[Delta]:
        signature = text_of(part.get("thoughtSignature"))
        meta = {"provider": "gemini", "thoughtSignature": signature} if signature else None
        if isinstance(part.get("functionCall"), dict):
            call = part["functionCall"]
            self._blocks.append(
                checked_tool_use(text_of(call.get("id")), text_of(call.get("name")), obj(call.get("args")), meta)
            )
            return ()
        text = text_of(part.get("text"))
        if not text and meta is None:
            return ()
        thought = part.get("thought") is True
        if meta is not None or not self._extend(text, "reasoning" if thought else "text"):
            self._blocks.append(reasoning_block(text, meta) if thought else text_block(text, meta))
        if not text:
            return ()
        return (ReasoningDelta(text),) if thought else (TextDelta(text),)

    def _extend(self, text: str, block_type: str) -> bool:
        """Add to the last block, where it is of this type and has no signature."""
        if not self._blocks or self._blocks[-1]["block_type"] != block_type:
            return False
        last = self._blocks[-1]
        if last["block_type"] == "tool_use" or "meta" in last["data"]:
            return False
        last["data"]["text"] = last["data"].get("text", "") + text
        return True

    def close(self) -> Completed:
        if self._finish is None:
            raise truncated()
        if self._finish in _BROKEN_CALL:
            raise malformed("a tool call that it declares broken itself")
        return Completed(blocks=with_unique_ids(self._blocks), stop_reason=self._stop_reason(), usage=self._usage)

    def _stop_reason(self) -> StopReason:
        if self._finish in _FILTERED:
            return "content_filter"
        if self._finish == "MAX_TOKENS":
            return "max_tokens"
        return "tool_use" if has_tool_use(self._blocks) else "end_turn"


def _usage(usage: dict[str, Any]) -> TokenUsage:
    return TokenUsage(
        # The prompt's count includes what was read from the cache, the candidates' count leaves out the thoughts.
        input_tokens=count(usage.get("promptTokenCount")) + count(usage.get("toolUsePromptTokenCount")),
        output_tokens=count(usage.get("candidatesTokenCount")) + count(usage.get("thoughtsTokenCount")),
        cache_read_tokens=count(usage.get("cachedContentTokenCount")),
    )


def _error(error: dict[str, Any]) -> Fault:
    message = clean(text_of(error.get("message"))) or "it gave no reason"
    code = error.get("code")
    status = code if isinstance(code, int) and 400 <= code <= 599 else None
    kind = kind_of_status(status) if status is not None else "server"
    return Fault(kind, f"The provider reported an error in its answer: {message}", status=status)
