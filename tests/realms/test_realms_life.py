"""What the daemon keeps of realms: open while they are used, closed and forgotten when they are not."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import trio
import trio.testing
from tests.realms.test_realms_removal import House

from meerkatd.contract.realm import RealmCreate
from meerkatd.errors import BackendUnavailable, RealmBackendMismatch
from meerkatd.methods import realm as methods
from meerkatd.methods.context import Context
from meerkatd.protocol.port import Call
from meerkatd.realms import registry as registry_module
from meerkatd.realms.realm import Realm
from meerkatd.store.api import SessionQuery


@pytest.fixture
async def house(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[House]:
    made = House(tmp_path, nursery)
    with trio.fail_after(20):
        yield made
        await made.registry.aclose()


async def test_a_realm_that_is_used_again_while_it_is_about_to_be_closed_stays_open(
    house: House, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taking a free lock lets other tasks run: measured, a request that came then worked on a closed store."""
    monkeypatch.setattr(registry_module, "IDLE_CLOSE_SECONDS", 0.0)
    realm = house.bind()
    await house.create(realm)
    taken, go_on = trio.Event(), trio.Event()
    acquire = realm._opening.acquire

    async def acquire_slowly() -> None:
        await acquire()
        taken.set()
        await go_on.wait()

    monkeypatch.setattr(type(realm._opening), "__aenter__", lambda self: acquire_slowly())
    nursery.start_soon(house.registry.close_idle)
    await taken.wait()
    with realm.in_use():
        store = await realm.store(False)
        assert store is not None
        go_on.set()
        await trio.testing.wait_all_tasks_blocked()
        assert len(await store.sessions(SessionQuery())) == 1
    assert realm.is_open


@pytest.mark.parametrize("error", [BackendUnavailable, RealmBackendMismatch])
async def test_a_realm_that_could_not_be_created_is_forgotten(
    house: House, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def refuse(self: Realm, hint: str | None) -> None:
        raise error("refused")

    monkeypatch.setattr(Realm, "check_backend", refuse)
    context = cast(Context, SimpleNamespace(services=SimpleNamespace(registry=house.registry)))
    params = RealmCreate(realm_id="two", backend="jsonl")
    with pytest.raises(error):
        await methods.create(context, params, Call(1, "realm/create", None))
    assert "realms=0" in repr(house.registry)
