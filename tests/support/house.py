"""The daemon in this process, with its real socket and stores and a scripted provider, and a client of each door."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import trio
from tests.behaviours.surfaces import Peer, Ways
from tests.support.scripted_provider import ScriptedAgents, ScriptedProvider

from meerkat_client.wire.paths import places
from meerkatd.app import Daemon
from meerkatd.lifecycle.ready import ReadyPipe
from meerkatd.settings import Settings


@dataclass
class House:
    """A running daemon and what a test wants to reach of it.

    Attributes:
        connect: a client by the way that the test runs over.
        ruler: the same, where that may do everything; else one of the socket. Pages and agents may not end the daemon.
    """

    settings: Settings
    provider: ScriptedProvider
    connect: Callable[..., AbstractAsyncContextManager[Peer]]
    start: Callable[["House"], Awaitable[None]]
    ways: Ways
    ruler: Callable[..., AbstractAsyncContextManager[Peer]]
    ended: trio.Event = field(default_factory=trio.Event)

    async def stop(self, **params: Any) -> Any:
        """Ask the daemon to stop, over its socket; the answer."""
        async with self.ruler() as peer:
            return await peer.call("daemon/stop", **params)

    async def restart(self) -> None:
        """Stop the daemon in order and start another one over the same files."""
        await self.stop()
        await self.ended.wait()
        self.ended = trio.Event()
        await self.start(self)

    def realm_folders(self) -> list[str]:
        folder = os.path.join(self.settings.state_root, "realms")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


class Ready(ReadyPipe):
    """The daemon's word that it accepts, for a test in the same process."""

    def __init__(self) -> None:
        super().__init__(None)
        self.event = trio.Event()

    def ready(self) -> None:
        self.event.set()


async def _no_preload() -> None:
    await trio.lowlevel.checkpoint()


def _record(settings: Settings) -> None:
    """Say where the socket is, as a daemon with its lock does; clients of ours look there."""
    with open(settings.places.lock_path, "w", encoding="ascii") as file:
        json.dump({"socket": settings.socket_path}, file)


@asynccontextmanager
async def running_house(root: str, *, surface: str = "framed") -> AsyncIterator[House]:
    """A daemon below `root`, which must be short enough for a socket's path. Ends with the block, at once.

    Args:
        surface: the way that `connect` takes; see `Ways`.
    """
    settings = Settings(places=places(f"{root}/state", runtime_dir=f"{root}/run"), drain_seconds=5.0)
    os.makedirs(settings.state_root, 0o700, exist_ok=True)
    _record(settings)
    provider = ScriptedProvider()
    async with Ways(settings.state_root, settings.socket_path) as ways, trio.open_nursery() as nursery:

        async def run(ready: Ready, ended: trio.Event) -> None:
            daemon = Daemon(
                settings, make_agents=lambda realm: ScriptedAgents(provider, realm.tools), preload=_no_preload
            )
            await daemon.run(ready)
            ended.set()

        async def start(house: House) -> None:
            ready = Ready()
            nursery.start_soon(run, ready, house.ended)
            await ready.event.wait()
            await ways.forget()

        @asynccontextmanager
        async def by(way: str, **initialize: Any) -> AsyncIterator[Peer]:
            async with ways.open(way) as door, trio.open_nursery() as inner:
                peer = Peer(door, inner, surface=way)
                inner.start_soon(peer.read)
                if initialize.pop("greet", True):
                    initialize.setdefault("client", {"name": "test", "version": "1", "surface": peer.surface})
                    await peer.call("initialize", **initialize)
                yield peer
                inner.cancel_scope.cancel()

        connect, ruler = partial(by, surface), partial(by, "framed" if surface in ("tcp", "mcp", "rest") else surface)
        house = House(settings, provider, connect, start, ways, ruler)
        await start(house)
        yield house
        nursery.cancel_scope.cancel()
