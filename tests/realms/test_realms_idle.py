"""What a realm does when nobody uses it."""

from pathlib import Path

import pytest
import trio
from tests.support.scripted_provider import ScriptedAgents, ScriptedProvider
from trio.testing import MockClock

from meerkatd.ids import RealmId, generated_realm_id
from meerkatd.realms import realm as realm_module
from meerkatd.realms import registry as registry_module
from meerkatd.realms.config.user import UserConfig
from meerkatd.realms.realm import KEYS_KEPT_MS
from meerkatd.realms.registry import IDLE_CLOSE_SECONDS, MAX_OPEN_REALMS, Registry, open_realms_limit
from meerkatd.store.api import KeyRow, SessionRow


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


async def test_a_realm_that_is_never_closed_forgets_old_keys_once_a_day(
    tmp_path, nursery, monkeypatch: pytest.MonkeyPatch
):
    now = [1_000_000_000_000]
    monkeypatch.setattr(realm_module, "now_ms", lambda: now[0])
    registry = make_registry(tmp_path, nursery)
    realm = registry.bind(generated_realm_id(), origin="explicit", hint="memory")
    store = await realm.store(True)
    assert store is not None

    async def keys_after(milliseconds: int) -> list[str]:
        now[0] += milliseconds
        with realm.in_use():
            pass
        await registry.close_idle()
        return [key.key for key in await store.keys()]

    row = SessionRow(session_id="s", created_ms=1, updated_ms=1)
    key = KeyRow(key="k", method="m", digest="d", session_id="s", created_ms=now[0])
    await store.create_session(row, key=key)
    assert await keys_after(KEYS_KEPT_MS) == ["k"]
    assert await keys_after(1000) == ["k"], "it was looked at just now"
    assert await keys_after(24 * 3600 * 1000) == []


async def test_of_too_many_open_realms_those_are_closed_that_were_used_longest_ago(
    tmp_path, nursery, mock_clock: MockClock, monkeypatch
):
    """The limit is 256, or what the descriptors allow; and the next request opens a closed one again."""
    assert 8 <= open_realms_limit() <= MAX_OPEN_REALMS == 256
    monkeypatch.setattr(registry_module, "MAX_OPEN_REALMS", 8)
    registry = make_registry(tmp_path, nursery)
    realms = []
    for number in range(11):
        realm = registry.bind(RealmId(f"r{number}"), origin="explicit", hint="jsonl")
        with realm.in_use():
            await realm.store(True)
        registry.unbind(realm)
        mock_clock.jump(1)
        realms.append(realm)
    with realms[0].in_use():
        pass
    await registry.close_idle()
    assert [realm.is_open for realm in realms] == [True, False, False, False, *[True] * 7]
    assert await realms[1].store(False) is not None
    await registry.aclose()
