"""Wire format of OpenAI's chat completions, and of the many servers that are compatible with it.

Those servers are compatible each in their own way, so the parser asks for little: usage may be missing or come with
every chunk, `[DONE]` may be missing, tool calls may lack an index or an id, and `finish_reason` may say "stop" after a
tool call. The one thing it insists on is a finish reason: an answer without one was cut off.

OpenAI itself wants `max_completion_tokens`; most others know only `max_tokens`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...contract.message import AssistantBlock, StopReason
from ..port import Completed, ModelRequest, OutputFormat, ReasoningDelta, TextDelta, TokenUsage
from .fault import Fault, clean, kind_of_status
from .history import AssistantStep, UserStep, steps_of
from .wire import (
    Delta,
    HttpCall,
    count,
    encoded,
    event_object,
    malformed,
    merged,
    obj,
    parsed_tool_use,
    reasoning_block,
    text_block,
    text_of,
    truncated,
    with_unique_ids,
)

_STOP: dict[str, StopReason] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filter",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIChat:
    """`strict`: the server is OpenAI's own, which has left some of the older field names behind."""

    strict: bool = False

    def build(self, request: ModelRequest, *, api_key: str | None) -> HttpCall:
        body: dict[str, Any] = {"model": request.model, "messages": _messages(request)}
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": dict(tool.input_schema),
                    },
                }
                for tool in request.tools
            ]
        if request.max_tokens is not None:
            body["max_completion_tokens" if self.strict else "max_tokens"] = request.max_tokens
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.output_format is not None:
            body["response_format"] = _response_format(request.output_format)
        body = merged(body, request.extra) | {"stream": True, "stream_options": {"include_usage": True}}
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        return HttpCall("/chat/completions", headers, encoded(body))

    def parser(self) -> "OpenAIChatParser":
        return OpenAIChatParser()


def _response_format(wanted: OutputFormat) -> dict[str, Any]:
    schema = {"name": wanted.name, "schema": dict(wanted.schema), "strict": wanted.strict}
    return {"type": "json_schema", "json_schema": schema}


def _messages(request: ModelRequest) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    if request.system:
        rows.append({"role": "system", "content": request.system})
    for step in steps_of(request.messages, request.images):
        if isinstance(step, AssistantStep):
            rows.append(_assistant_row(step))
        else:
            rows.extend(_user_rows(step))
    return rows


def _user_rows(step: UserStep) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "role": "tool",
            "tool_call_id": result.call_id,
            # The format has no flag for a failed call, so the text must say it.
            "content": f"[error] {result.text}" if result.is_error else result.text,
        }
        for result in step.results
    ]
    text = "\n\n".join(step.texts)
    if step.images:
        parts: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{image.base64}"}}
            for image in step.images
        ]
        rows.append({"role": "user", "content": [*parts, *([{"type": "text", "text": text}] if text else [])]})
    elif text:
        rows.append({"role": "user", "content": text})
    return rows


def _assistant_row(step: AssistantStep) -> dict[str, Any]:
    text = "".join(block["data"]["text"] for block in step.blocks if block["block_type"] == "text")
    calls = [
        {
            "id": block["data"]["id"],
            "type": "function",
            "function": {
                "name": block["data"]["name"],
                "arguments": encoded(block["data"]["args"]).decode(),
            },
        }
        for block in step.blocks
        if block["block_type"] == "tool_use"
    ]
    row: dict[str, Any] = {"role": "assistant", "content": text or None}
    if calls:
        row["tool_calls"] = calls
    elif not text:
        row["content"] = ""
    return row


@dataclass(slots=True)
class _Call:
    call_id: str
    name: str
    arguments: list[str]


class OpenAIChatParser:
    """One answer as it arrives: chunks in, deltas out, the whole at the end."""

    def __init__(self) -> None:
        self.done = False
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refused = False
        self._calls: dict[int, _Call] = {}
        self._finish: str | None = None
        self._usage = TokenUsage()

    def feed(self, data: str) -> Sequence[Delta]:
        if data.strip() == "[DONE]":
            self.done = True
            return ()
        chunk = event_object(data)
        if chunk.get("error"):
            raise _error(chunk["error"])
        if isinstance(chunk.get("usage"), dict):
            self._usage = _usage(chunk["usage"])
        choices = chunk.get("choices") or []
        if not isinstance(choices, list):
            raise malformed("a chunk whose choices are no list")
        deltas: list[Delta] = []
        for choice in choices:
            # Only one choice is ever asked for; a server that sends more is not listened to.
            if isinstance(choice, dict) and choice.get("index", 0) in (0, None):
                deltas.extend(self._take(obj(choice.get("delta"))))
                self._finish = text_of(choice.get("finish_reason")) or self._finish
        return deltas

    def _take(self, delta: dict[str, Any]) -> list[Delta]:
        shown: list[Delta] = []
        reasoning = text_of(delta.get("reasoning_content")) or text_of(delta.get("reasoning"))
        if reasoning:
            self._reasoning.append(reasoning)
            shown.append(ReasoningDelta(reasoning))
        refusal = text_of(delta.get("refusal"))
        self._refused = self._refused or bool(refusal)
        text = text_of(delta.get("content")) + refusal
        if text:
            self._text.append(text)
            shown.append(TextDelta(text))
        for call in delta.get("tool_calls") or ():
            if isinstance(call, dict):
                self._take_call(call)
        return shown

    def _take_call(self, part: dict[str, Any]) -> None:
        function = obj(part.get("function"))
        call_id, name = text_of(part.get("id")), text_of(function.get("name"))
        index = part.get("index")
        if not isinstance(index, int):
            # Without an index a new id begins a new call, and anything else goes on with the last one.
            last = max(self._calls, default=-1)
            fresh = last < 0 or bool(call_id and call_id != self._calls[last].call_id)
            index = last + 1 if fresh else last
        call = self._calls.setdefault(index, _Call("", "", []))
        call.call_id = call.call_id or call_id
        call.name = call.name or name
        arguments = function.get("arguments")
        # Some servers send the arguments as the object itself.
        call.arguments.append(encoded(arguments).decode() if isinstance(arguments, dict) else text_of(arguments))

    def close(self) -> Completed:
        if self._finish is None:
            raise truncated()
        blocks: list[AssistantBlock] = []
        if self._reasoning:
            blocks.append(reasoning_block("".join(self._reasoning)))
        if self._text:
            blocks.append(text_block("".join(self._text)))
        for _, call in sorted(self._calls.items()):
            blocks.append(parsed_tool_use(call.call_id, call.name, "".join(call.arguments)))
        return Completed(blocks=with_unique_ids(blocks), stop_reason=self._stop_reason(), usage=self._usage)

    def _stop_reason(self) -> StopReason:
        reason = _STOP.get(self._finish or "", "end_turn")
        if reason in ("end_turn", "tool_use"):
            if self._calls:
                return "tool_use"
            return "refusal" if self._refused else "end_turn"
        return reason


def _usage(usage: dict[str, Any]) -> TokenUsage:
    return TokenUsage(
        input_tokens=count(usage.get("prompt_tokens")),
        output_tokens=count(usage.get("completion_tokens")),
        cache_read_tokens=count(obj(usage.get("prompt_tokens_details")).get("cached_tokens")),
    )


def _error(error: Any) -> Fault:
    """An error inside the stream. Servers put a status, a word or nothing into its `code`."""
    value = obj(error)
    message = clean(text_of(value.get("message")) or text_of(error)) or "it gave no reason"
    code = value.get("code")
    if isinstance(code, str) and code.isdigit():
        code = int(code)
    status = code if isinstance(code, int) and 400 <= code <= 599 else None
    kind = kind_of_status(status) if status is not None else "server"
    if "rate_limit" in f"{code} {value.get('type')}":
        kind = "rate_limited"
    return Fault(kind, f"The provider reported an error in its answer: {message}", status=status)
