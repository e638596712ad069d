"""One owner of one config: compare-and-set, edits by hand, crashes, cancellation."""

import errno
import os
import threading
from functools import partial
from pathlib import Path

import pytest
import trio
from tests.config.config_bench import Cell, GatedFiles, is_private, keyed, model

from meerkatd.errors import ConfigConflict, ConfigInvalid, DuplicateInput, InvalidParams, StorageFull, StorageUnknown
from meerkatd.realms.config.state import KEYS_KEPT, NOTHING, ConfigState, WriteKey, digest_of, settle
from meerkatd.realms.config.watch import follow

HANG_SECONDS = 10


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(tmp_path / "realm")


async def test_a_config_begins_empty_with_generation_0_and_no_file(cell: Cell):
    assert (cell.current().generation, cell.current().plain) == (0, {})
    assert not cell.folder.exists()


async def test_every_write_is_one_generation_more_also_an_identical_one(cell: Cell):
    assert [(await cell.set(model("a"))).generation for _ in range(3)] == [1, 2, 3]
    assert cell.current().plain == model("a")
    assert is_private(cell.path)
    assert is_private(cell.folder / "config_state.json")


async def test_a_stale_write_is_refused_with_both_generations_and_changes_nothing(cell: Cell):
    await cell.set(model("a"))
    before = sorted((path.name, path.read_bytes()) for path in cell.folder.iterdir())
    for stale in (0, 2, 99):
        with pytest.raises(ConfigConflict) as caught:
            await cell.patch(model("b"), expected=stale)
        assert caught.value.details == {"expected_generation": stale, "current_generation": 1}
    assert sorted((path.name, path.read_bytes()) for path in cell.folder.iterdir()) == before
    assert (await cell.patch(model("b"), expected=1)).generation == 2


async def test_an_invalid_write_changes_nothing_and_makes_no_folder(cell: Cell):
    for write in (partial(cell.set, {"agent": {"modle": "x"}}), partial(cell.set_text, "agent = ")):
        with pytest.raises(InvalidParams):
            await write()
    assert not cell.folder.exists()


async def test_writers_that_come_together_get_one_generation_each(cell: Cell, nursery: trio.Nursery):
    generations: list[int] = []

    async def write(name: str) -> None:
        generations.append((await cell.patch({"agent": {"provider_params": {name: 1}}})).generation)

    async with trio.open_nursery() as writers:
        for number in range(10):
            writers.start_soon(write, f"n{number}")
    assert sorted(generations) == list(range(1, 11))
    assert len(cell.current().plain["agent"]["provider_params"]) == 10


async def test_of_two_writers_with_the_same_expectation_one_wins(cell: Cell):
    outcomes: list[str] = []

    async def write(name: str) -> None:
        try:
            await cell.set(model(name), expected=0)
            outcomes.append("written")
        except ConfigConflict:
            outcomes.append("refused")

    async with trio.open_nursery() as writers:
        writers.start_soon(write, "a")
        writers.start_soon(write, "b")
    assert sorted(outcomes) == ["refused", "written"]
    assert cell.current().generation == 1


async def test_an_edit_by_hand_is_a_generation_and_stays_one(cell: Cell):
    await cell.set(model("a"))
    cell.edit('[agent]\nmodel = "b"\n')
    assert (cell.current().generation, cell.current().plain) == (2, model("b"))
    assert Cell(cell.folder).current().generation == 2


async def test_edits_of_the_same_length_within_one_tick_of_the_clock_are_all_seen(cell: Cell):
    """Measured: two writes within some milliseconds can leave the same size, inode and times."""
    await cell.set(model("a"))
    for name in "bcdefg":
        stamps = os.stat(cell.path)
        cell.edit(f'[agent]\nmodel = "{name}"\n')
        os.utime(cell.path, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
        assert cell.current().plain == model(name)
    assert cell.current().generation == 7


async def test_a_touched_file_is_no_new_generation(cell: Cell):
    await cell.set(model("a"))
    version = cell.current()
    os.utime(cell.path)
    assert cell.current() is version


async def test_a_deleted_file_is_an_empty_config_of_the_next_generation(cell: Cell):
    await cell.set(model("a"))
    cell.path.unlink()
    assert (cell.current().generation, cell.current().plain) == (2, {})


async def test_an_edit_that_cannot_be_used_is_told_with_its_place(cell: Cell):
    await cell.set(model("a"))
    cell.edit('[agent]\nmodel = "b"\ntemprature = 1\n')
    with pytest.raises(ConfigInvalid) as caught:
        cell.current()
    assert caught.value.details == {
        "path": str(cell.path),
        "line": 3,
        "field": "agent.temprature",
        "generation": 2,
    }
    assert "'temperature'" in caught.value.message
    assert cell.look().plain == model("a")


async def test_a_broken_config_takes_no_patch_and_is_mended_by_a_set_or_by_hand(cell: Cell):
    await cell.set(model("a"))
    cell.edit("model = ")
    with pytest.raises(ConfigInvalid):
        await cell.patch(model("b"))
    assert (await cell.set(model("c"), expected=2)).generation == 3
    cell.edit("model = ")
    assert cell.look().problem is not None
    cell.edit('[agent]\nmodel = "d"\n')
    assert (cell.current().generation, cell.current().plain) == (5, model("d"))


async def test_an_edit_in_the_middle_of_a_write_is_not_lost(cell: Cell):
    """The file changes after the new text was made from it: with an expectation the write is refused, without one it
    is made again on top of the edit."""
    await cell.set(model("a"))
    edits = iter(["b", "c"])

    def edits_first(change):
        def changed(base):
            text = change(base)
            if (name := next(edits, None)) is not None:
                cell.edit(f'[agent]\nmodel = "{name}"\n')
            return text

        return changed

    from meerkatd.realms.config.write import from_patch

    change = edits_first(from_patch({"agent": {"temperature": 1}}))
    with pytest.raises(ConfigConflict):
        await cell.write(change, expected=1, keyed=None, where="patch", mend=False)
    written = await cell.write(change, expected=None, keyed=None, where="patch", mend=False)
    assert written.version.plain == {"agent": {"model": "c", "temperature": 1}}


async def test_an_edit_after_the_last_look_is_still_found_before_the_rename(tmp_path: Path):
    """The last look of all is taken when only the rename is left."""
    edits = iter(['[agent]\nmodel = "by hand"\n'])
    folder = tmp_path / "realm"
    folder.mkdir()

    def edit() -> None:
        if (text := next(edits, None)) is not None:
            (folder / "config.toml").write_text(text)

    cell = Cell(folder, files=lambda path: GatedFiles(path, begun=lambda: None, wait=edit))
    written = await cell.patch({"agent": {"temperature": 1}})
    assert written.version.plain == {"agent": {"model": "by hand", "temperature": 1}}
    assert written.generation == 2


async def test_a_write_that_has_begun_is_not_cancelled(tmp_path: Path, nursery: trio.Nursery):
    token = trio.lowlevel.current_trio_token()
    begun, go = trio.Event(), threading.Event()
    folder = tmp_path / "realm"
    cell = Cell(
        folder,
        files=lambda path: GatedFiles(path, begun=lambda: token.run_sync_soon(begun.set), wait=go.wait),
    )
    scope = trio.CancelScope()
    ended = trio.Event()

    async def write() -> None:
        with scope:
            await cell.set(model("a"))
        ended.set()

    nursery.start_soon(write)
    with trio.fail_after(HANG_SECONDS):
        await begun.wait()
        scope.cancel()
        assert cell.current().generation == 0, "until it is committed, readers see what was before"
        go.set()
        await ended.wait()
    assert cell.current().generation == 1
    assert Cell(folder).current().plain == model("a")


async def test_a_full_disk_changes_nothing_and_the_next_write_works(cell: Cell, monkeypatch: pytest.MonkeyPatch):
    await cell.set(model("a"))
    rename = os.rename

    def full(source: str, target: str) -> None:
        if target.endswith("config.toml"):
            raise OSError(errno.ENOSPC, "full", target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(StorageFull):
        await cell.set(model("b"), keyed=keyed("k"))
    assert cell.current().generation == 1
    assert Cell(cell.folder).current().plain == model("a")
    monkeypatch.setattr(os, "rename", rename)
    written = await cell.set(model("b"), keyed=keyed("k"))
    assert (written.generation, written.replayed) == (2, False)
    assert not [name for name in os.listdir(cell.folder) if name.endswith(".new")]


async def test_a_write_that_may_not_be_durable_is_told_as_unknown(cell: Cell, monkeypatch: pytest.MonkeyPatch):
    """The rename happened, the fsync of the folder failed: the new config is there, and nobody is told it is safe."""
    await cell.set(model("a"))
    from meerkatd.realms import durable

    sync, calls = durable.sync_folder, iter([True])

    def fails_once(folder: str) -> None:
        if next(calls, False):
            raise OSError(errno.EIO, "no", folder)
        sync(folder)

    monkeypatch.setattr(durable, "sync_folder", fails_once)
    with pytest.raises(StorageUnknown):
        await cell.set(model("b"))
    assert (cell.current().generation, cell.current().plain) == (2, model("b"))
    assert Cell(cell.folder).current().generation == 2


# -- idempotency --------------------------------------------------------------------------------------------------


async def test_the_same_key_gives_the_first_generation_again_also_after_a_restart(cell: Cell):
    first = await cell.patch(model("a"), keyed=keyed("k"), expected=0)
    await cell.patch(model("b"))
    for again in (cell, Cell(cell.folder)):
        replay = await again.patch(model("a"), keyed=keyed("k"), expected=0)
        assert (replay.generation, replay.replayed) == (first.generation, True)
        assert again.current().generation == 2


async def test_a_key_of_another_request_is_refused(cell: Cell):
    await cell.patch(model("a"), keyed=keyed("k"))
    with pytest.raises(DuplicateInput):
        await cell.patch(model("b"), keyed=keyed("k", digest="other"))


async def test_only_the_last_keys_are_kept(cell: Cell):
    state = ConfigState()
    for number in range(KEYS_KEPT + 1):
        key = WriteKey(key=f"k{number}", method="m", digest="d", generation=number + 1)
        state = state.written(f"digest {number}", key=key)
    assert state.key("k0") is None
    assert state.key("k1") is not None
    assert ConfigState.load(state.dump()) == state


# -- crashes ------------------------------------------------------------------------------------------------------


async def test_a_crash_between_the_two_files_leaves_the_write_undone_and_its_key_free(cell: Cell):
    await cell.set(model("a"), keyed=keyed("first"))
    key = WriteKey(key="second", method="config/patch", digest="d", generation=2)
    state_path = cell.folder / "config_state.json"
    state = ConfigState.load(state_path.read_bytes())
    state_path.write_bytes(state.written(digest_of(b"x"), key=key).dump())
    opened = Cell(cell.folder)
    assert (opened.current().generation, opened.current().plain) == (1, model("a"))
    assert (await opened.patch(model("b"), keyed=keyed("second"))).replayed is False
    assert (await opened.patch(model("a"), keyed=keyed("first"))).replayed is True


LAST = ConfigState(
    generation=5,
    digest="new",
    replaced=(4, "old"),
    keys=(
        WriteKey(key="earlier", method="m", digest="d", generation=4),
        WriteKey(key="last", method="m", digest="d", generation=5),
    ),
)


@pytest.mark.parametrize(
    ("known", "digest", "generation", "keys"),
    [
        (None, NOTHING, 0, []),
        (None, "made by hand", 1, []),
        (LAST, "new", 5, ["earlier", "last"]),
        (LAST, "old", 4, ["earlier"]),
        (LAST, "edited", 6, ["earlier"]),
        (LAST.edited("x"), "edited", 7, ["earlier", "last"]),
    ],
    ids=["nothing", "hand-made", "written", "lost", "edited", "edited twice"],
)
def test_what_is_found_on_the_disk_tells_what_happened(
    known: ConfigState | None, digest: str, generation: int, keys: list[str]
):
    state = settle(known, digest)
    assert (state.generation, state.digest, [each.key for each in state.keys]) == (generation, digest, keys)


def test_an_identical_write_that_was_lost_counts_as_made():
    """Its text is there either way, so nobody can tell; the generation stays one that no other text had."""
    state = ConfigState(generation=1, digest="same").written("same", key=None)
    assert settle(state, "same").generation == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"generation": "1", "digest": ""}', '{"generation": 1}', "\x00"])
def test_a_state_that_cannot_be_read_is_refused(text: str):
    with pytest.raises(ValueError):  # noqa: PT011
        ConfigState.load(text.encode())


# -- realms in memory, and watchers -------------------------------------------------------------------------------


async def test_a_realm_in_memory_keeps_its_config_in_memory(tmp_path: Path):
    from meerkatd.realms.config.cell import ConfigCell
    from meerkatd.realms.config.write import from_tree

    cell = ConfigCell("m", files=lambda: None, create=trio.lowlevel.checkpoint)
    for expected in range(3):
        await cell.write(from_tree(model("a")), expected=expected, keyed=None, where="config", mend=True)
    assert (cell.current().generation, cell.current().plain) == (3, model("a"))
    assert os.listdir(tmp_path) == []


async def test_a_watch_tells_every_generation_once_and_in_order(cell: Cell, nursery: trio.Nursery):
    told: list[int] = []
    enough = trio.Event()

    async def changed(facts: dict[str, int]) -> None:
        await trio.lowlevel.checkpoint()
        told.append(facts["generation"])
        if len(told) == 6:
            enough.set()

    nursery.start_soon(partial(follow, cell, 0, changed=changed))
    with trio.fail_after(HANG_SECONDS):
        for number in range(5):
            await cell.set(model(f"m{number}"))
        cell.edit("# by hand\n")
        cell.look()
        await enough.wait()
    assert told == [1, 2, 3, 4, 5, 6]


async def test_a_watch_sees_an_edit_by_hand_that_nobody_else_notices(cell: Cell, nursery, autojump_clock):
    """On virtual time: only the watch looks at the file, every two seconds."""
    cell.folder.mkdir()
    cell.edit('[agent]\nmodel = "a"\n')
    send, receive = trio.open_memory_channel[dict](9)
    nursery.start_soon(partial(follow, cell, cell.look().generation, changed=send.send))
    await trio.testing.wait_all_tasks_blocked()
    cell.edit("model = ")
    facts = await receive.receive()
    assert facts["generation"] == 2
    assert str(cell.path) in facts["problem"]
    nursery.cancel_scope.cancel()
