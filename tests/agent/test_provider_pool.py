"""Providers that are shared: closing one to make room never hurts a turn."""

import logging
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from meerkatd.agent import provider_pool, providers
from meerkatd.agent.models import Endpoint
from meerkatd.agent.port import ModelRequest
from meerkatd.agent.provider_pool import ProviderPool
from meerkatd.agent.providers import RetryPolicy, Timeouts, http
from meerkatd.errors import CapabilityUnavailable

REQUEST = ModelRequest(model="m", messages=())


def endpoint(name: str) -> Endpoint:
    return Endpoint(kind="openai", model=name, base_url="https://127.0.0.1:9", provider="openai", full_name=name)


class Opened:
    """A provider that can tell whether a call met it closed."""

    def __init__(self) -> None:
        self.closed = False

    @asynccontextmanager
    async def stream(self, request: ModelRequest) -> Any:
        assert not self.closed
        yield ()
        assert not self.closed, "closed while a call was using it"

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
        self.closed = True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Opened]:
    made: list[Opened] = []

    def open_provider(*_: Any, **__: Any) -> Opened:
        made.append(Opened())
        return made[-1]

    monkeypatch.setattr(provider_pool, "open_provider", open_provider)
    monkeypatch.setattr(provider_pool, "MAX_PROVIDERS", 1)
    return made


async def get(pool: ProviderPool, name: str) -> Any:
    return await pool.get(endpoint(name), retry=RetryPolicy(), timeouts=Timeouts())


async def test_a_provider_that_a_call_is_using_is_not_closed_to_make_room(opened: list[Opened]) -> None:
    pool = ProviderPool()
    async with (await get(pool, "a")).stream(REQUEST):
        await get(pool, "b")
        await get(pool, "c")
        assert not opened[0].closed
    await get(pool, "d")
    assert opened[0].closed


async def test_a_turn_that_kept_a_closed_provider_goes_on_with_a_new_one(opened: list[Opened]) -> None:
    pool = ProviderPool()
    kept = await get(pool, "a")
    async with kept.stream(REQUEST):
        pass
    await get(pool, "b")
    assert opened[0].closed
    async with kept.stream(REQUEST):
        pass
    await pool.aclose()
    assert [each.closed for each in opened] == [True, True]


async def test_certificates_that_cannot_be_loaded_are_told_to_whom_they_concern(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The preload runs on behalf of nobody: measured, a wrong SSL_CERT_FILE ended the daemon with its first client."""

    def fail() -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(http, "tls_context", fail)
    with caplog.at_level(logging.WARNING):
        await providers.preload()
    assert "certificates" in caplog.text
    pool = ProviderPool()
    with pytest.raises(CapabilityUnavailable):
        async with (await get(pool, "a")).stream(REQUEST):
            pass
