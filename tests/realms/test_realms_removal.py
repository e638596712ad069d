"""Deleting realms, the trash, and bringing them back; over the real store and files."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.support.scripted_provider import Gate, ScriptedAgents, ScriptedProvider

from meerkatd.agent.credentials import Credentials
from meerkatd.errors import (
    BackendUnavailable,
    ConfigInvalid,
    RealmBackendMismatch,
    RealmExists,
    RealmInUse,
    RealmNotFound,
    RealmTooNew,
    StorageFailed,
)
from meerkatd.ids import RealmId
from meerkatd.realms.config.user import UserConfig
from meerkatd.realms.config.write import from_tree
from meerkatd.realms.realm import Realm
from meerkatd.realms.registry import Registry
from meerkatd.realms.removal import Removal
from meerkatd.realms.trash import Trash
from meerkatd.sessions.request import AgentOptions, Caller
from meerkatd.sessions.turn import Turn

CALLER = Caller(holder={"surface": "cli", "client": "test"}, credentials=Credentials())
ONE = RealmId("one")
HANG_SECONDS = 20


class House:
    """A registry with its trash over a state root."""

    def __init__(self, root: Path, nursery: trio.Nursery) -> None:
        self.root = root
        self.provider = ScriptedProvider()
        self.registry = Registry(
            str(root),
            user_config=UserConfig("/nonexistent"),
            make_agents=lambda realm: ScriptedAgents(self.provider, realm.tools),
            nursery=nursery,
        )
        self.removal = Removal(self.registry, Trash(str(root)))

    def bind(self, name: str = ONE, **more: Any) -> Realm:
        return self.registry.bind(RealmId(name), **{"origin": "explicit", "hint": None, **more})

    async def create(self, realm: Realm, *, deferred: bool = True) -> tuple[str, Turn | None]:
        return await realm.sessions.create(
            "hello", caller=CALLER, options=AgentOptions(), labels={}, deferred=deferred, keyed=None
        )

    def folders(self, name: str) -> list[str]:
        folder = self.root / name
        return sorted(os.listdir(folder)) if folder.is_dir() else []


@pytest.fixture
async def house(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[House]:
    made = House(tmp_path, nursery)
    with trio.fail_after(HANG_SECONDS):
        yield made
        await made.registry.aclose()


async def delete(house: House, name: str = ONE, *, force: bool = False, bound: Realm | None = None) -> Any:
    return await house.removal.delete(RealmId(name), force=force, bound=bound)


async def sessions_of(realm: Realm) -> int:
    return len(await realm.sessions.list(offset=0, limit=10, include_archived=True, labels={}))


async def test_a_deleted_realm_is_in_the_trash_and_comes_back_whole(house: House):
    realm = house.bind()
    await house.create(realm)
    await realm.config.write(from_tree({"agent": {"model": "m"}}), expected=0, keyed=None, where="config", mend=True)
    answer = await delete(house, bound=realm)
    assert (answer["interrupted_turns"], house.folders("realms")) == (0, [])
    assert [row["realm_id"] for row in await house.removal.listed()] == [ONE]
    assert await house.registry.list() == []

    restored = await house.removal.restore(realm_id=ONE, trash_id=None)
    assert await sessions_of(restored) == 1
    assert (restored.config.current().generation, house.folders("trash")) == (1, [])


async def test_everything_of_a_deleted_realm_is_refused_to_whoever_is_still_bound(house: House):
    realm = house.bind()
    session_id, _ = await house.create(realm)
    await delete(house, bound=realm)
    with pytest.raises(RealmNotFound):
        await realm.sessions.resolve(session_id)
    with pytest.raises(RealmNotFound):
        await house.create(realm)
    with pytest.raises(RealmNotFound):
        realm.config.current()
    with pytest.raises(RealmNotFound):
        realm.info()
    house.registry.unbind(realm)
    assert house.folders("realms") == []


async def test_a_new_realm_with_the_same_id_is_another_one(house: House):
    old = house.bind()
    await house.create(old)
    await delete(house, bound=old)
    new = house.bind()
    assert new is not old
    assert await sessions_of(new) == 0
    await house.create(new)
    house.registry.unbind(old)
    assert house.registry.get(ONE) is new, "the end of an old connection does not touch the new realm"


async def test_other_connections_and_turns_keep_a_realm_from_being_deleted(house: House):
    mine, _ = house.bind(), house.bind()
    await house.create(mine)
    with pytest.raises(RealmInUse) as caught:
        await delete(house, bound=mine)
    assert caught.value.details == {"realm_id": ONE, "connections": 1, "active_turns": 0}
    house.registry.unbind(mine)
    gate = Gate()
    house.provider.answers("so far", gate)
    _, turn = await house.create(mine, deferred=False)
    await gate.reached.wait()
    with pytest.raises(RealmInUse) as caught:
        await delete(house, bound=mine)
    assert caught.value.details["active_turns"] == 1
    gate.open()
    assert turn is not None
    await turn.done.wait()
    await delete(house, bound=mine)


async def test_a_forced_deletion_commits_what_turns_have_produced_first(house: House):
    realm = house.bind()
    gate = Gate()
    house.provider.answers("so far", gate)
    session_id, turn = await house.create(realm, deferred=False)
    await gate.reached.wait()
    answer = await delete(house, force=True)
    assert answer["interrupted_turns"] == 1
    assert turn is not None
    assert turn.state == "interrupted"
    restored = await house.removal.restore(realm_id=ONE, trash_id=None)
    page = await restored.sessions.history(session_id, offset=0, limit=10)
    assert any("so far" in body for body in page.bodies)


async def test_a_request_under_way_ends_before_the_folder_is_moved(house: House, nursery: trio.Nursery):
    realm = house.bind()
    await house.create(realm)
    begun, done = trio.Event(), trio.Event()

    async def request() -> None:
        with realm.in_use():
            begun.set()
            await trio.testing.wait_all_tasks_blocked()
            assert house.folders("trash") == []
        done.set()

    nursery.start_soon(request)
    await begun.wait()
    await delete(house, force=True)
    assert done.is_set()
    assert len(house.folders("trash")) == 1


async def test_a_realm_that_cannot_be_moved_stays_as_it_was(house: House, monkeypatch: pytest.MonkeyPatch):
    realm = house.bind()
    await house.create(realm)

    def refuse(folder: str) -> str:
        raise OSError(5, "no", folder)

    monkeypatch.setattr(Trash, "put", lambda self, folder: refuse(folder))
    with pytest.raises(StorageFailed):
        await delete(house, bound=realm)
    assert await sessions_of(realm) == 1
    await house.create(realm)


async def test_a_realm_in_memory_is_gone_for_good(house: House):
    realm = house.bind(hint="memory")
    await house.create(realm)
    assert (await delete(house, bound=realm))["trash_id"] is None
    assert (house.folders("realms"), house.folders("trash")) == ([], [])
    assert await sessions_of(house.bind()) == 0


async def test_what_does_not_exist_cannot_be_deleted(house: House):
    with pytest.raises(RealmNotFound):
        await delete(house, bound=house.bind())


async def test_the_realm_that_was_deleted_last_comes_back_first(house: House):
    for _ in range(2):
        realm = house.bind()
        await house.create(realm)
        await delete(house, bound=realm)
        house.registry.unbind(realm)
    newest, oldest = await house.removal.listed()
    assert newest["trash_id"] != oldest["trash_id"]
    await house.removal.restore(realm_id=ONE, trash_id=None)
    assert [row["trash_id"] for row in await house.removal.listed()] == [oldest["trash_id"]]
    with pytest.raises(RealmExists):
        await house.removal.restore(realm_id=None, trash_id=oldest["trash_id"])
    with pytest.raises(RealmNotFound):
        await house.removal.restore(realm_id=None, trash_id="../realms")


async def test_emptying_the_trash_deletes_only_what_is_meant(house: House):
    for name in ("one", "two"):
        realm = house.bind(name)
        await house.create(realm)
        await delete(house, name, bound=realm)
    rows = await house.removal.listed()
    assert await house.removal.empty(trash_id=None, older_than_hours=1) == []
    with pytest.raises(RealmNotFound):
        await house.removal.empty(trash_id="no such", older_than_hours=0)
    assert await house.removal.empty(trash_id=rows[0]["trash_id"], older_than_hours=0) == [rows[0]]
    assert house.folders("trash") == [rows[1]["trash_id"]]
    await house.removal.empty(trash_id=None, older_than_hours=0)
    assert house.folders("trash") == []


async def test_pruning_takes_only_old_isolated_realms_that_nobody_uses(house: House):
    names = {"old": "generated", "young": "generated", "used": "generated", "named": "explicit"}
    for name, origin in names.items():
        realm = house.bind(name, origin=origin)
        await house.create(realm)
        await realm.close()
        if name != "used":
            house.registry.unbind(realm)
        if name != "young":
            age(realm.folder)
    arguments = {"older_than_hours": 24, "isolated_only": True}
    for dry_run in (True, False):
        pruned = await house.removal.prune(**arguments, dry_run=dry_run)
        assert [row["realm_id"] for row in pruned] == ["old"]
    assert [row["realm_id"] for row in await house.removal.listed()] == ["old"]
    pruned = await house.removal.prune(older_than_hours=24, isolated_only=False, dry_run=False)
    assert [row["realm_id"] for row in pruned] == ["named"]


def age(folder: str) -> None:
    for name in os.listdir(folder):
        os.utime(os.path.join(folder, name), (1, 1))


# -- backends -----------------------------------------------------------------------------------------------------


async def test_another_backend_than_the_pinned_one_is_refused_naming_both(house: House):
    realm = house.bind(hint="sqlite")
    await house.create(realm)
    with pytest.raises(RealmBackendMismatch) as caught:
        house.bind(hint="memory")
    assert caught.value.details == {"realm_id": ONE, "existing": "sqlite", "requested": "memory"}


async def test_two_hints_for_a_realm_that_is_not_there_yet_must_agree(house: House):
    house.bind(hint="memory")
    with pytest.raises(RealmBackendMismatch):
        house.bind(hint="sqlite")


async def test_a_backend_that_is_not_installed_is_refused_before_anything_is_made(house: House):
    with pytest.raises(BackendUnavailable):
        house.bind(hint="redb")
    assert house.folders("realms") == []


async def test_a_realm_of_a_newer_program_is_neither_listed_nor_bound(house: House):
    realm = house.bind()
    await house.create(realm)
    await realm.close()
    house.registry.unbind(realm)
    manifest = Path(realm.folder) / "realm_manifest.json"
    manifest.write_text(manifest.read_text().replace('"manifest_format": 1', '"manifest_format": 99'))
    assert await house.registry.list() == []
    with pytest.raises(RealmTooNew):
        house.bind(hint="sqlite")


async def test_the_config_of_a_realm_in_memory_dies_with_it(house: House):
    realm = house.bind(hint="memory")
    await realm.config.write(from_tree({}), expected=0, keyed=None, where="config", mend=True)
    assert realm.config.current().generation == 1
    await realm.close()
    assert realm.config.current().generation == 1, "closing what is idle keeps a realm in memory"
    await delete(house, bound=realm)
    assert house.bind().config.current().generation == 0


async def test_a_problem_of_the_config_is_shown_with_the_realm(house: House):
    realm = house.bind()
    await house.create(realm)
    (Path(realm.folder) / "config.toml").write_text("[agnt]\n")
    details = await realm.details()
    assert "agnt" in details["problem"]
    with pytest.raises(ConfigInvalid):
        realm.config.current()
