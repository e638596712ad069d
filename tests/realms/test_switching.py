"""A conversion that is killed at any step leaves a whole realm: that of before, or that of after."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import trio

from meerkatd.ids import RealmId
from meerkatd.realms import manifest as manifests
from meerkatd.realms.manifest import Manifest
from meerkatd.realms.switching import is_unsettled, settle, switch
from meerkatd.realms.trash import Trash
from meerkatd.store import FILES, backend, held
from meerkatd.store.api import NewMessage, SessionRow
from meerkatd.store.blobs import MemoryBlobs
from meerkatd.store.digest import digests
from meerkatd.store.parts import parts_of, take

# What a switch and a settling do to the disk.
OPERATIONS = ("rename", "unlink", "mkdir", "open", "fsync", "link", "rmdir")


async def made(folder: str, name: str, fresh: str, other: str) -> dict[str, str]:
    """A realm of the backend `name`, and the same store of another one in `fresh`; the digests."""
    kind = backend(name)
    manifest = Manifest(realm_id=RealmId("r"), backend=name, origin="explicit", created_at=int(time.time()))
    manifests.create(folder, manifest)
    store = await kind.open(folder, create=True)
    row = SessionRow(session_id="s", created_ms=1, updated_ms=1)
    await store.create_session(row)
    await store.append("s", [NewMessage(role="user", body='{"role":"user"}')], updated_ms=2)
    await store.blobs.put(b"x", "image/png")
    os.mkdir(fresh)
    target = await backend(other).open(fresh, create=True, bulk=True)
    async for part in parts_of(store, blobs=MemoryBlobs()):
        await take(target, part)
    found = dict(await digests(store))
    await target.aclose()
    await store.aclose()
    return found


async def told(folder: str, name: str) -> dict[str, str]:
    store = await backend(name).open(folder, create=False)
    try:
        assert len(await store.blobs.ids()) == 1
        return dict(await digests(store))
    finally:
        await store.aclose()


def killed_at(step: int, work) -> bool:
    """Do `work` in a process that kills itself before its operation number `step`; whether it came to that."""
    pid = os.fork()
    if pid == 0:
        try:
            count = iter(range(step))

            def counted(operation):
                def do(*args, **kwargs):
                    if next(count, None) is None:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return operation(*args, **kwargs)

                return do

            for name in OPERATIONS:
                setattr(os, name, counted(getattr(os, name)))
            work()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize(("before", "after"), [("sqlite", "jsonl"), ("jsonl", "sqlite")])
def test_a_kill_at_any_step_leaves_one_whole_store(tmp_path: Path, before: str, after: str, stride: int) -> None:
    outcomes = []
    first = tmp_path / "first"
    expected = trio.run(made, str(first / "realms" / "r"), before, str(first / "fresh"), after)
    for step in range(0, 1000, stride):
        root = tmp_path / str(step)
        shutil.copytree(first, root)
        folder, fresh = str(root / "realms" / "r"), str(root / "fresh")
        trash = Trash(str(root))
        manifest = manifests.read(folder)
        assert manifest is not None
        killed = killed_at(step, lambda f=folder, n=fresh, m=manifest, t=trash: switch(f, n, m, after, t))
        # The daemon that comes next may be killed as well.
        killed_at(step % 17, lambda f=folder, t=trash: settle(f, t))
        settle(folder, trash)
        settled = manifests.read(folder)
        assert settled is not None
        assert settled.backend in (before, after)
        assert trio.run(told, folder, settled.backend) == expected
        assert held(folder) == {settled.backend}
        assert not is_unsettled(folder)
        trashed = [each for each in trash.list() if each.manifest is not None]
        if settled.backend == before:
            assert trash.list() == []
        else:
            (old,) = trashed
            assert old.manifest is not None
            assert (old.manifest.backend, old.manifest.realm_id) == (before, "r")
            assert trio.run(told, old.path, before) == expected
        outcomes.append(settled.backend)
        if not killed:
            break
    assert outcomes == sorted(outcomes, key=[before, after].index), "before the commit the old one, then the new one"
    assert outcomes[0] == before
    assert outcomes[-1] == after
    assert set(FILES) == {"sqlite", "jsonl"}
