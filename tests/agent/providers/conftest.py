"""Fixtures of the provider suite: the formats, and the fake providers."""

import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from tests.agent.providers.dialects import DIALECTS, Dialect
from tests.agent.providers.provider_kit import ModelServer
from tests.agent.providers.scripted_server import Handler, ScriptedServer


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
