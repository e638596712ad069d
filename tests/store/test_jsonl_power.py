"""Power cuts at random moments. Unlike killing the process, they tell a store that syncs from one that does not.

The model of a disk: what was synced is there. Of what a file was told since, a cut keeps nothing, or each sector of 512
bytes by the toss of a coin, each change of length too. Names are on the disk once their folder was synced; of later
changes of names a cut keeps the first few.
"""

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
from tests.store.story import Story, look, writes
from tests.store.watched_disk import DiskOperation, WatchedDisk, unwatched

from meerkatd.errors import MeerkatError
from meerkatd.store.api import RealmStore
from meerkatd.store.jsonl import JsonlBackend

TURNS = 30
SECTOR = 512


@dataclass
class _Inode:
    """A file's bytes as they are sure to be, and what it was told since."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[DiskOperation] = field(default_factory=list)

    def settle(self) -> None:
        for operation in self.pending:
            _apply(self.synced, operation)
        self.pending.clear()

    def left_by_a_cut(self, dice: random.Random, *, torn: bool) -> bytearray:
        left = bytearray(self.synced)
        for operation in self.pending if torn else ():
            for part in _sectors(operation):
                if dice.random() < 0.5:
                    _apply(left, part)
        return left


def _sectors(operation: DiskOperation) -> Sequence[DiskOperation]:
    """A write as writes of one sector each: where sectors begin depends on the file's beginning, not on the write's."""
    if operation.kind != "write":
        return [operation]
    parts, start, end = [], operation.number, operation.number + len(operation.data)
    while start < end:
        stop = min(end, start - start % SECTOR + SECTOR)
        data = operation.data[start - operation.number : stop - operation.number]
        parts.append(operation._replace(number=start, data=data))
        start = stop
    return parts


def _apply(content: bytearray, operation: DiskOperation) -> None:
    if operation.kind == "truncate":
        del content[operation.number :]
    if operation.kind == "write":
        end = operation.number + len(operation.data)
        content.extend(bytes(max(0, end - len(content))))
        content[operation.number : end] = operation.data


class PowerLog:
    """Writes down every operation, and marks of the caller between them."""

    def __init__(self, *, syncs: bool) -> None:
        self._entries: list[DiskOperation | str] = []
        self._syncs = syncs

    def __call__(self, operation: DiskOperation) -> None:
        if operation.kind in ("sync", "sync_folder") and not self._syncs:
            return
        self._entries.append(operation)

    def mark(self, text: str) -> None:
        """A write that was acknowledged at this point of the log."""
        self._entries.append(text)

    def __len__(self) -> int:
        return len(self._entries)

    def image(self, old: Path, new: Path, cut: int, seed: int, *, torn: bool) -> set[str]:
        """Write into `new` what a cut before entry `cut` leaves of `old`; returns the marks before it."""
        names: dict[str, _Inode] = {}
        durable: dict[str, _Inode] = {}
        later: list[dict[str, _Inode]] = []
        marks: set[str] = set()
        for entry in self._entries[:cut]:
            if isinstance(entry, str):
                marks.add(entry)
            elif entry.kind == "sync_folder":
                durable, later = dict(names), []
            elif entry.kind in ("create", "rename", "remove"):
                _rename(names, entry)
                later.append(dict(names))
            elif entry.kind in ("write", "truncate"):
                names[entry.path].pending.append(entry)
            elif entry.kind == "sync":
                names[entry.path].settle()
        dice = random.Random(seed)
        kept = [durable, *(later if torn else [])][dice.randrange(1 + len(later)) if torn else 0]
        (new / "sessions").mkdir(parents=True)
        for path, inode in kept.items():
            (new / Path(path).relative_to(old)).write_bytes(inode.left_by_a_cut(dice, torn=torn))
        return marks


def _rename(names: dict[str, _Inode], operation: DiskOperation) -> None:
    if operation.kind == "create":
        names[operation.path] = _Inode()
    elif operation.kind == "rename":
        names[operation.new] = names.pop(operation.path)
    else:
        names.pop(operation.path, None)


class MarkingStory(Story):
    """Marks each acknowledged write in the log of the disk, and lets the store rest now and then."""

    def __init__(self, turns: int, log: PowerLog) -> None:
        super().__init__(turns)
        self._log = log

    def acknowledged(self, name: str) -> None:
        self._log.mark(name)

    async def _turn_count(self, store: RealmStore) -> int | None:
        await store.tidy()
        return await super()._turn_count(store)


async def _lived(folder: Path, *, syncs: bool) -> PowerLog:
    """The log of a realm's life, with an index written before each turn."""
    log = PowerLog(syncs=syncs)
    with trio.fail_after(30):
        store = await JsonlBackend(disk=WatchedDisk(log)).open(str(folder), create=True)
        story = MarkingStory(TURNS, log)
        await story.tell(store)
        await store.aclose()
    assert len(story.record.written) == writes(TURNS)
    return log


async def _losses(log: PowerLog, folder: Path, cuts: int, *, torn: bool) -> list[str]:
    """What is wrong after each of `cuts` cuts: acknowledged writes that are gone, and files that cannot be read."""
    wrong = []
    dice = random.Random(cuts)
    for number in range(cuts):
        cut, image = dice.randrange(len(log)), folder / f"cut {number}"
        marks = log.image(folder / "realm", image, cut, number, torn=torn)
        try:
            lost = marks - await look(JsonlBackend(disk=WatchedDisk(unwatched)), str(image), TURNS)
            if lost:
                wrong.append(f"cut {cut}, seed {number}: lost {sorted(lost)}")
        except (MeerkatError, AssertionError) as error:
            wrong.append(f"cut {cut}, seed {number}: {error!r}")
        shutil.rmtree(image)
    return wrong


@pytest.mark.parametrize("cuts", [60, pytest.param(5000, marks=pytest.mark.long)])
@pytest.mark.parametrize("torn", [False, True], ids=["dropped", "torn"])
async def test_no_power_cut_loses_an_acknowledged_write(cuts: int, torn: bool, tmp_path: Path) -> None:
    (tmp_path / "realm").mkdir()
    log = await _lived(tmp_path / "realm", syncs=True)
    assert await _losses(log, tmp_path, cuts, torn=torn) == []


async def test_power_cuts_catch_a_store_that_does_not_sync(tmp_path: Path) -> None:
    (tmp_path / "realm").mkdir()
    log = await _lived(tmp_path / "realm", syncs=False)
    assert len(await _losses(log, tmp_path, 40, torn=False)) > 20
