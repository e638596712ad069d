"""The daemon in this process, with its real socket and stores and a scripted provider, and a client of each door."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio
from tests.behaviours.mcp_door import open_mcp_door
from tests.behaviours.surfaces import Door, Peer, open_door
from tests.support.scripted_provider import ScriptedAgents, ScriptedProvider

from meerkat_client.wire.paths import places
from meerkatd.app import Daemon
from meerkatd.lifecycle.ready import ReadyPipe
from meerkatd.settings import Settings


@dataclass
class House:
    """A running daemon and what a test wants to reach of it."""

    settings: Settings
    provider: ScriptedProvider
    connect: Callable[..., AbstractAsyncContextManager[Peer]]
    start: Callable[["House"], Awaitable[None]]
    ended: trio.Event = field(default_factory=trio.Event)

    async def restart(self) -> None:
        """Stop the daemon in order and start another one over the same files."""
        # Not every surface lets its clients do that.
        async with open_door("framed", self.settings.socket_path) as door, trio.open_nursery() as nursery:
            peer = Peer(door, nursery)
            nursery.start_soon(peer.read)
            await peer.call("initialize")
            await peer.call("daemon/stop")
            nursery.cancel_scope.cancel()
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


def _door(surface: str, settings: Settings) -> AbstractAsyncContextManager[Door]:
    if surface == "mcp":
        return open_mcp_door(settings.state_root)
    return open_door(surface, settings.socket_path)


async def _no_preload() -> None:
    await trio.lowlevel.checkpoint()


@asynccontextmanager
async def running_house(root: str, *, surface: str = "framed") -> AsyncIterator[House]:
    """A daemon below `root`, which must be short enough for a socket's path. Ends with the block, at once.

    Args:
        surface: the door that `connect` uses: framed, ws-cbor, ws-json, or a shim: mcp.
    """
    settings = Settings(
        places=places(f"{root}/state", environ={"MEERKAT_RUNTIME_DIR": f"{root}/run"}), drain_seconds=5.0
    )
    os.makedirs(settings.state_root, 0o700, exist_ok=True)
    provider = ScriptedProvider()
    async with trio.open_nursery() as nursery:

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

        @asynccontextmanager
        async def connect(**initialize: Any) -> AsyncIterator[Peer]:
            async with _door(surface, settings) as door, trio.open_nursery() as inner:
                peer = Peer(door, inner, surface=surface)
                inner.start_soon(peer.read)
                if initialize.pop("greet", True):
                    initialize.setdefault("client", {"name": "test", "version": "1", "surface": surface})
                    await peer.call("initialize", **initialize)
                yield peer
                inner.cancel_scope.cancel()

        house = House(settings, provider, connect, start)
        await start(house)
        yield house
        nursery.cancel_scope.cancel()
