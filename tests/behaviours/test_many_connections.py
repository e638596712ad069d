"""A hundred connections at once, through mixed doors: apart when they say nothing, together when they name a realm."""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle, islice

import pytest
import trio
from tests.behaviours.promises import holds
from tests.behaviours.surfaces import SURFACES, Peer
from tests.support.house import House, running_house

CONNECTIONS = 100
HANG_SECONDS = 60
pytestmark = pytest.mark.usefixtures("typescript")


@asynccontextmanager
async def many(house: House, **initialize: str) -> AsyncIterator[list[Peer]]:
    """A hundred peers, as many of them through each door."""
    async with AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())
        peers = []
        for surface in islice(cycle(SURFACES), CONNECTIONS):
            door = await stack.enter_async_context(house.ways.open(surface))
            peer = Peer(door, nursery)
            nursery.start_soon(peer.read)
            peers.append(peer)
        for peer in peers:
            await peer.call("initialize", **initialize)
        yield peers
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def quiet_house() -> AsyncIterator[House]:
    with trio.fail_after(HANG_SECONDS), tempfile.TemporaryDirectory(prefix="md-") as root:
        os.chmod(root, 0o700)
        async with running_house(root) as house:
            yield house


async def create(peer: Peer) -> str:
    created = await peer.call("session/create", prompt="later", initial_turn="deferred", model="scripted-1")
    return str(created["session_id"])


@holds("CON-2", "REA-2")
async def test_a_hundred_connections_without_a_realm_have_a_hundred_realms_and_nothing_on_the_disk():
    async with quiet_house() as house, many(house) as peers:
        realms = [(await peer.call("realm/current"))["realm_id"] for peer in peers]
        assert len(set(realms)) == CONNECTIONS
        for peer in peers:
            assert (await peer.call("session/list"))["sessions"] == []
        assert house.realm_folders() == []
        own = [await create(peer) for peer in peers[:10]]
        assert len(house.realm_folders()) == 10
        for peer, session_id in zip(peers[:10], own, strict=True):
            listed = (await peer.call("session/list"))["sessions"]
            assert [row["session_id"] for row in listed] == [session_id]
        assert (await peers[10].call("session/list"))["sessions"] == []


@holds("REA-1", "SES-4")
async def test_a_hundred_connections_of_one_realm_see_all_sessions_in_the_same_order():
    async with quiet_house() as house, many(house, realm_id="shared") as peers:
        made: list[str] = []

        async def make(peer: Peer) -> None:
            made.append(await create(peer))

        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(make, peer)
        lists = [
            [row["session_id"] for row in (await peer.call("session/list", limit=1000))["sessions"]] for peer in peers
        ]
        assert set(lists[0]) == set(made)
        assert len(lists[0]) == CONNECTIONS
        assert all(each == lists[0] for each in lists)
