"""What the provider tests share: calls, what becomes of them, and the way to the fake provider's script."""

import json
import urllib.request
from collections.abc import Sequence
from typing import Any

import trio

from meerkatd.agent.port import Completed, ModelEvent, ModelRequest, Provider
from meerkatd.agent.providers import RetryPolicy

# The rules of retrying as they are, without the waits.
AT_ONCE = RetryPolicy(initial_delay=0.0)


class ModelServer:
    """llmock: it speaks every format, takes a script over HTTP and judges the client."""

    def __init__(self, url: str) -> None:
        self.url = url

    def script(self, *behaviors: dict[str, Any]) -> None:
        self._call("POST", "/_llmock/scenario", {"behaviors": list(behaviors)})

    def reset(self) -> None:
        self._call("POST", "/_llmock/reset", {})

    def requests(self) -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = self._call("GET", "/_llmock/requests", None)["requests"]
        return seen

    def verdict(self) -> dict[str, Any]:
        verdict: dict[str, Any] = self._call("GET", "/_llmock/verdict", None)
        return verdict

    def _call(self, method: str, path: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


def ask(text: str = "Say hello", **more: Any) -> ModelRequest:
    return ModelRequest(
        model=more.pop("model", "m"),
        messages=[{"role": "user", "content": text, "created_at": "2026-01-01T00:00:00Z"}],
        **more,
    )


async def collect(provider: Provider, request: ModelRequest) -> list[ModelEvent]:
    """All events of a call; the provider is closed afterwards."""
    try:
        with trio.fail_after(10):
            async with provider.stream(request) as events:
                return [event async for event in events]
    finally:
        await provider.aclose()


def completed(events: Sequence[ModelEvent]) -> Completed:
    """The last event, which must be the only `Completed`."""
    assert [event for event in events if isinstance(event, Completed)] == [events[-1]]
    assert isinstance(events[-1], Completed)
    return events[-1]
