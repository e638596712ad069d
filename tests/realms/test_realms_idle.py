"""What a realm does when nobody uses it."""

from pathlib import Path

import trio
from tests.support.scripted_provider import ScriptedAgents, ScriptedProvider
from trio.testing import MockClock

from meerkatd.ids import generated_realm_id
from meerkatd.realms.config.user import UserConfig
from meerkatd.realms.registry import IDLE_CLOSE_SECONDS, Registry


def make_registry(root: Path, nursery: trio.Nursery) -> Registry:
    return Registry(
        str(root),
        user_config=UserConfig("/nonexistent"),
        make_agents=lambda realm: ScriptedAgents(ScriptedProvider(), realm.tools),
        nursery=nursery,
    )


async def test_a_generated_realm_in_memory_goes_with_its_last_connection(tmp_path, nursery):
    registry = make_registry(tmp_path, nursery)
    realm = registry.bind(generated_realm_id(), origin="generated", hint="memory")
    await realm.store(True)
    await registry.close_idle()
    assert registry.open_realms == 1
    registry.unbind(realm)
    await registry.close_idle()
    assert registry.open_realms == 0
    assert registry.get(realm.realm_id) is not realm


async def test_a_named_realm_in_memory_stays(tmp_path, nursery):
    registry = make_registry(tmp_path, nursery)
    realm = registry.bind(generated_realm_id(), origin="explicit", hint="memory")
    await realm.store(True)
    registry.unbind(realm)
    await registry.close_idle()
    assert registry.get(realm.realm_id) is realm


async def test_a_resting_realm_is_tidied_once_and_closed_later(tmp_path, nursery, mock_clock: MockClock):
    registry = make_registry(tmp_path, nursery)
    realm = registry.bind(generated_realm_id(), origin="explicit", hint="memory")
    store = await realm.store(True)
    assert store is not None
    tidied = []

    async def tidy() -> None:
        tidied.append(trio.current_time())

    store.tidy = tidy  # type: ignore[method-assign]
    await registry.close_idle()
    await registry.close_idle()
    assert len(tidied) == 1
    with realm.in_use():
        await registry.close_idle()
    await registry.close_idle()
    assert len(tidied) == 2
    mock_clock.jump(IDLE_CLOSE_SECONDS + 1)
    await registry.close_idle()
    assert len(tidied) == 2
