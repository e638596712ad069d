"""What the three formats look like on the wire, so that one test body runs over all of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meerkatd.agent.models import Endpoint
from meerkatd.agent.port import ProviderKind

KEY = "sk-test-0123456789"


@dataclass(frozen=True)
class Dialect:
    """One format: how its server answers.

    Attributes:
        mount: path below a server's root at which llmock speaks this format.
        pieces: events that show "Hello " and "world"; nothing is finished after them.
        finish: events that finish that answer with 11 input and 5 output tokens.
        error_event: an "overloaded" error inside the stream.
    """

    kind: ProviderKind
    model: str
    mount: str
    pieces: Sequence[str]
    finish: Sequence[str]
    error_event: str

    @property
    def whole(self) -> list[str]:
        return [*self.pieces, *self.finish]

    def endpoint(self, url: str, *, mounted: bool = False) -> Endpoint:
        base = url + self.mount if mounted else url
        return Endpoint(
            kind=self.kind,
            model=self.model,
            base_url=base,
            api_key=KEY,
            provider=self.kind,
            full_name=f"{self.kind}/{self.model}",
        )


def _chat(delta: dict[str, Any], finish: str | None = None) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


OPENAI = Dialect(
    kind="openai",
    model="gpt-5.4",
    mount="/v1",
    pieces=(_chat({"role": "assistant", "content": ""}), _chat({"content": "Hello "}), _chat({"content": "world"})),
    finish=(
        _chat({}, "stop"),
        json.dumps({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 5}}),
        "[DONE]",
    ),
    error_event=json.dumps({"error": {"message": "We are overloaded", "code": 503}}),
)


def _anthropic_text(text: str) -> str:
    delta = {"type": "text_delta", "text": text}
    return json.dumps({"type": "content_block_delta", "index": 0, "delta": delta})


ANTHROPIC = Dialect(
    kind="anthropic",
    model="claude-opus-4-6",
    mount="/anthropic",
    pieces=(
        json.dumps({"type": "message_start", "message": {"usage": {"input_tokens": 11, "output_tokens": 1}}}),
        json.dumps({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json.dumps({"type": "ping"}),
        _anthropic_text("Hello "),
        _anthropic_text("world"),
    ),
    finish=(
        json.dumps({"type": "content_block_stop", "index": 0}),
        json.dumps({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}),
        json.dumps({"type": "message_stop"}),
    ),
    error_event=json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "We are overloaded"}}),
)


def _gemini(text: str, **more: Any) -> str:
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    return json.dumps({"candidates": [candidate | more.pop("candidate", {})], **more})


GEMINI = Dialect(
    kind="gemini",
    model="gemini-2.5-pro",
    mount="/gemini",
    pieces=(_gemini("Hello "), _gemini("world")),
    finish=(
        json.dumps(
            {
                "candidates": [{"finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 5},
            }
        ),
    ),
    error_event=json.dumps({"error": {"code": 503, "message": "We are overloaded", "status": "UNAVAILABLE"}}),
)

DIALECTS = (OPENAI, ANTHROPIC, GEMINI)
