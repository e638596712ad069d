"""What becomes of a realm whose folder and manifest contradict each other."""

import json
from pathlib import Path

import pytest
import trio
from tests.support.scripted_provider import ScriptedAgents, ScriptedProvider

from meerkatd.agent.credentials import Credentials
from meerkatd.contract.connection import BackendName
from meerkatd.errors import RealmDamaged
from meerkatd.ids import RealmId
from meerkatd.realms import manifest
from meerkatd.realms.config.user import UserConfig
from meerkatd.realms.realm import Realm
from meerkatd.realms.registry import Registry
from meerkatd.sessions.request import AgentOptions, Caller

CALLER = Caller(holder={"surface": "cli", "client": "test"}, credentials=Credentials())
HANG_SECONDS = 20


def bound(root: Path, nursery: trio.Nursery, *, hint: BackendName | None = None) -> Realm:
    """The realm as another daemon would find it."""
    registry = Registry(
        str(root),
        user_config=UserConfig("/nonexistent"),
        make_agents=lambda realm: ScriptedAgents(ScriptedProvider(), realm.tools),
        nursery=nursery,
    )
    return registry.bind(RealmId("one"), origin="explicit", hint=hint)


async def create(realm: Realm) -> None:
    await realm.sessions.create("hello", caller=CALLER, options=AgentOptions(), labels={}, deferred=True, keyed=None)


async def made(root: Path, nursery: trio.Nursery, *, backend: BackendName) -> Path:
    """A closed realm with one session; its manifest."""
    realm = bound(root, nursery, hint=backend)
    await create(realm)
    await realm.aclose()
    return Path(realm.folder) / manifest.FILE_NAME


@pytest.mark.parametrize("backend", ["sqlite", "jsonl"])
async def test_sessions_without_a_manifest_are_not_hidden_behind_a_new_realm(
    tmp_path: Path, nursery: trio.Nursery, backend: BackendName
):
    """A new manifest pins the default backend: the sessions of another one would never be seen again."""
    with trio.fail_after(HANG_SECONDS):
        (await made(tmp_path, nursery, backend=backend)).unlink()
        realm = bound(tmp_path, nursery)
        with pytest.raises(RealmDamaged):
            await realm.sessions.list(offset=0, limit=10, include_archived=False, labels={})
        with pytest.raises(RealmDamaged):
            await create(realm)
    assert not (Path(realm.folder) / manifest.FILE_NAME).exists()


async def test_a_manifest_that_names_another_backend_than_its_folder_holds_is_damage(
    tmp_path: Path, nursery: trio.Nursery
):
    with trio.fail_after(HANG_SECONDS):
        path = await made(tmp_path, nursery, backend="sqlite")
        right = path.read_text()
        path.write_text(json.dumps({**json.loads(right), "backend": "jsonl"}))
        with pytest.raises(RealmDamaged):
            await create(bound(tmp_path, nursery))
        path.write_text(right)
        realm = bound(tmp_path, nursery)
        await create(realm)
        assert len(await realm.sessions.list(offset=0, limit=10, include_archived=False, labels={})) == 2
        await realm.aclose()
