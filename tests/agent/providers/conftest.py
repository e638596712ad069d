"""Fixtures of the provider suite: the fake providers, and calls against them."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from dialects import DIALECTS, Dialect
from scripted_server import Handler, ScriptedServer

from meerkatd.agent.port import Completed, ModelEvent, ModelRequest, Provider
from meerkatd.agent.providers import RetryPolicy

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


@pytest.fixture(scope="session")
def _model_server_process() -> Iterator[ModelServer]:
    program = Path(__file__).with_name("llmock_process.py")
    process = subprocess.Popen([sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield ModelServer(process.stdout.readline().strip())
    finally:
        process.stdin.close()
        process.stdout.close()
        # The server waits for clients that went away in the middle of a stall; we do not.
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        process.kill()
        process.wait()


@pytest.fixture
def model_server(_model_server_process: ModelServer) -> Iterator[ModelServer]:
    _model_server_process.reset()
    yield _model_server_process
    _model_server_process.reset()


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.kind)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    assert isinstance(request.param, Dialect)
    return request.param


@pytest.fixture
def serve(nursery: trio.Nursery) -> Callable[..., Awaitable[ScriptedServer]]:
    async def start(*handlers: Handler) -> ScriptedServer:
        return await ScriptedServer(handlers).start(nursery)

    return start


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
