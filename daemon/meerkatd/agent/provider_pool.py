"""Open providers, one for each endpoint, shared by all turns that use it: connections are kept between calls."""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from ..errors import ProviderError
from ..instruments import PROVIDER_FAULTS, PROVIDER_FIRST_SECONDS, PROVIDER_SECONDS, span
from .local_model import LocalModels
from .models import Endpoint
from .port import ModelEvent, ModelRequest, Provider, ProviderKind, Retrying
from .providers import RetryPolicy, Timeouts, open_provider, preload

# An endpoint includes a key; a user has a handful. Beyond that the one used longest ago is closed.
MAX_PROVIDERS = 32


class ProviderPool:
    """Owns every open provider and the local models; `aclose` it when the daemon ends."""

    def __init__(self) -> None:
        self.local = LocalModels()
        self._known: OrderedDict[tuple[Endpoint, RetryPolicy, Timeouts], _Shared] = OrderedDict()
        self._imported = False

    def __repr__(self) -> str:
        return f"<ProviderPool known={len(self._known)} {self.local!r}>"

    async def get(self, endpoint: Endpoint, *, retry: RetryPolicy, timeouts: Timeouts) -> Provider:
        """The provider of `endpoint`. It may be kept: only one that no call is using is closed to make room, and its
        next call opens it again."""
        if not self._imported:
            await self.preload()
        key = (endpoint, retry, timeouts)
        provider = self._known.get(key)
        if provider is None:
            provider = self._known[key] = _Shared(endpoint, retry, timeouts, self.local)
        self._known.move_to_end(key)
        await self._make_room()
        return provider

    async def _make_room(self) -> None:
        while len(self._known) > MAX_PROVIDERS:
            *others, _ = self._known
            idle = next((key for key in others if not self._known[key].calls), None)
            if idle is None:
                return
            await self._known.pop(idle).retire()

    async def preload(self) -> None:
        """Import what the first turn will need, while nobody waits for it."""
        await preload()
        self._imported = True

    async def aclose(self) -> None:
        for provider in self._known.values():
            await provider.aclose()
        self._known.clear()
        await self.local.aclose()


class _Watched:
    """The events of one call, with a note of when the first one that shows something came. No generator, so that
    nothing is left to be closed later."""

    def __init__(self, events: AsyncIterator[ModelEvent], kind: ProviderKind, begun: float) -> None:
        self._events = events
        self._kind = kind
        self._begun: float | None = begun

    def __aiter__(self) -> AsyncIterator[ModelEvent]:
        return self

    async def __anext__(self) -> ModelEvent:
        event = await self._events.__anext__()
        if self._begun is not None and not isinstance(event, Retrying):
            PROVIDER_FIRST_SECONDS.observe(time.monotonic() - self._begun, label=self._kind)
            self._begun = None
        return event


class _Shared:
    """A `Provider` that is open from its first call until it is closed, and again from the next one on."""

    def __init__(self, endpoint: Endpoint, retry: RetryPolicy, timeouts: Timeouts, local: LocalModels) -> None:
        self._endpoint = endpoint
        self._retry = retry
        self._timeouts = timeouts
        self._local = local
        self._open: Provider | None = None
        self._retired = False
        self.calls = 0

    @property
    def kind(self) -> ProviderKind:
        return self._endpoint.kind

    def stream(self, request: ModelRequest) -> AbstractAsyncContextManager[AsyncIterator[ModelEvent]]:
        return self._stream(request)

    @asynccontextmanager
    async def _stream(self, request: ModelRequest) -> AsyncIterator[AsyncIterator[ModelEvent]]:
        if self._open is None:
            self._open = open_provider(self._endpoint, retry=self._retry, timeouts=self._timeouts, local=self._local)
        self.calls += 1
        begun = time.monotonic()
        try:
            with span("model call", provider=self.kind, model=request.model):
                async with self._open.stream(request) as events:
                    yield _Watched(events, self.kind, begun)
        except ProviderError as error:
            PROVIDER_FAULTS.add(self.kind, str(error.details.get("kind", "unknown")))
            raise
        finally:
            PROVIDER_SECONDS.observe(time.monotonic() - begun, label=self.kind)
            self.calls -= 1
            if self._retired and not self.calls:
                with trio.CancelScope(shield=True):
                    await self.aclose()

    async def retire(self) -> None:
        """Close it now, and after each turn's call that still comes: nobody else will."""
        self._retired = True
        await self.aclose()

    async def aclose(self) -> None:
        provider, self._open = self._open, None
        if provider is not None:
            await provider.aclose()
