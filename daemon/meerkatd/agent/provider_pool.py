"""Open providers, one for each endpoint, shared by all turns that use it: connections are kept between calls."""

from collections import OrderedDict

from .local_model import LocalModels
from .models import Endpoint
from .port import Provider
from .providers import RetryPolicy, Timeouts, open_provider, preload

# An endpoint includes a key; a user has a handful. Beyond that the one used longest ago is closed.
MAX_PROVIDERS = 32


class ProviderPool:
    """Owns every open provider and the local models; `aclose` it when the daemon ends."""

    def __init__(self) -> None:
        self.local = LocalModels()
        self._open: OrderedDict[tuple[Endpoint, RetryPolicy, Timeouts], Provider] = OrderedDict()
        self._imported = False

    def __repr__(self) -> str:
        return f"<ProviderPool open={len(self._open)} {self.local!r}>"

    async def get(self, endpoint: Endpoint, *, retry: RetryPolicy, timeouts: Timeouts) -> Provider:
        """The provider of `endpoint`, opened when it is not."""
        if not self._imported:
            await preload()
            self._imported = True
        key = (endpoint, retry, timeouts)
        provider = self._open.get(key)
        if provider is None:
            provider = open_provider(endpoint, retry=retry, timeouts=timeouts, local=self.local)
            self._open[key] = provider
        self._open.move_to_end(key)
        while len(self._open) > MAX_PROVIDERS:
            _, oldest = self._open.popitem(last=False)
            await oldest.aclose()
        return provider

    async def preload(self) -> None:
        """Import what the first turn will need, while nobody waits for it."""
        await preload()
        self._imported = True

    async def aclose(self) -> None:
        for provider in self._open.values():
            await provider.aclose()
        self._open.clear()
        await self.local.aclose()
