"""What is open to a connection through a door on TCP, and how long the door is there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.behaviours.conftest import House
from tests.behaviours.promises import holds
from tests.behaviours.surfaces import Peer, WebSocket, read_text
from tests.behaviours.test_connections import refused
from trio_websocket import open_websocket_url

from meerkatd.methods.web import METHODS


@holds("DAE-3")
async def test_pages_get_at_nothing_that_is_of_the_machine(house: House):
    """Over every other way the same is asked by a program of the user, and allowed."""
    async with house.connect(realm_id="r") as peer:
        is_page = peer.surface == "tcp"
        patch = {"servers": {"mine": {"base_url": "http://127.0.0.1:9/v1"}}}
        if not is_page:
            assert (await peer.call("config/patch", patch=patch))["generation"] == 1
            return
        error = await refused(peer.call("config/patch", patch=patch))
        assert (error.code, error.details["field"]) == ("PERMISSION_DENIED", "patch.servers")
        for method in ("daemon/stop", "daemon/listen", "realm/delete", "realm/export", "realm/import"):
            assert method in METHODS
            assert (await refused(peer.call(method, nonsense=1))).code == "PERMISSION_DENIED"
        assert (await peer.call("config/patch", patch={"agent": {"model": "m"}}))["generation"] == 1


@holds("DAE-3")
async def test_a_door_is_there_for_as_long_as_its_opener_and_so_are_its_guests(house: House):
    async with house.ruler() as other:

        async def told() -> list[str]:
            return (await other.call("runtime/host_info"))["endpoints"]["live_ws"]

        async with trio.open_nursery() as nursery:
            opener = await nursery.start(_opener, house)
            door = await opener.call("daemon/listen")
            async with guest(door) as page:
                assert door["url"] in await told()
                assert door["url"] in (await other.call("daemon/status"))["doors"]
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True), pytest.raises(trio.ClosedResourceError):
                    await page.receive()
        while door["url"] in await told():
            continue


async def _opener(house: House, *, task_status: trio.TaskStatus[Peer]) -> None:
    async with house.ruler() as peer:
        task_status.started(peer)
        await trio.sleep_forever()


@asynccontextmanager
async def guest(door: dict[str, Any]) -> AsyncIterator[WebSocket]:
    protocols = ["meerkat.v1.json", f"meerkat.token.{read_text(door['token_path']).strip()}"]
    async with open_websocket_url(door["url"], subprotocols=protocols) as connection:
        page = WebSocket(connection, text=True)
        await page.send({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}})
        assert (await page.receive())["id"] == 1
        yield page


@holds("DAE-3")
async def test_a_turn_that_a_page_begins_writes_nothing_and_runs_nothing(house: House, tmp_path: Path):
    """Also in a session that somebody else gave all the tools; their own turns keep them."""
    async with house.ruler(realm_id="r") as ruler, house.connect(realm_id="r") as peer:
        house.provider.answers("made")
        made = await ruler.call("session/create", prompt="x", tools="full", workspace=str(tmp_path))
        offered = []
        for who in (peer, ruler):
            house.provider.answers("done")
            await who.call("turn/start", session_id=made["session_id"], prompt="y")
            offered.append({spec.name for spec in house.provider.requests[-1].tools})
        assert "shell" in offered[1]
        assert "read_file" in offered[0]
        assert ("shell" in offered[0], "write_file" in offered[0]) == ((peer.surface != "tcp"),) * 2
