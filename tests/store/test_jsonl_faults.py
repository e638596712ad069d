"""A fault at every single operation on the files: no acknowledged write is lost, no refused one comes back.

After each fault the files are also copied as they are when the story ends and before the store is closed, as if the
machine had stopped right there, and the copy is opened too.
"""

import errno
import os
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from outcome import Outcome, Value
from tests.store.conformance.bench import Bench
from tests.store.story import Record, Story, found, look
from tests.store.watched_disk import DiskOperation, Kind, WatchedDisk, unwatched

from meerkatd.errors import DuplicateInput, MeerkatError, StorageFailed, StorageFull, StorageUnknown
from meerkatd.store.api import KeyRow, SessionRow
from meerkatd.store.jsonl import JsonlBackend
from meerkatd.store.jsonl.commit import Committer
from meerkatd.store.jsonl.opening import open_realm
from meerkatd.store.jsonl.writes import create_session

TURNS = 2
# More operations than a story has; a store that retries for ever fails by it.
MOST_OPERATIONS = 400

Fault = Callable[[DiskOperation], Exception]

CHANGES: frozenset[Kind] = frozenset({"create", "open", "write", "truncate", "sync", "rename", "remove", "sync_folder"})


def io_error(operation: DiskOperation) -> Exception:
    return OSError(errno.EIO, "injected", operation.path)


def full(operation: DiskOperation) -> Exception:
    return OSError(errno.ENOSPC, "injected", operation.path)


def short_write(operation: DiskOperation) -> Exception:
    """The disk takes two thirds of the data and is full then."""
    if operation.kind == "write":
        with open(operation.path, "ab") as file:
            file.write(operation.data[: len(operation.data) * 2 // 3])
    return full(operation)


class Saboteur:
    """Fails operation number `at` of the kinds in `kinds`, and with `stuck` every one after it."""

    def __init__(self, fault: Fault, kinds: frozenset[Kind], at: int, *, stuck: bool) -> None:
        self._fault = fault
        self._kinds = kinds
        self._at = at
        self._stuck = stuck
        self._count = 0
        self.struck = False

    def __call__(self, operation: DiskOperation) -> None:
        if operation.kind not in self._kinds:
            return
        self._count += 1
        if self._count == self._at or (self._stuck and self._count > self._at):
            self.struck = True
            raise self._fault(operation)


async def _tell(backend: JsonlBackend, folder: Path, copy: Path) -> Record:
    story = Story(TURNS)
    try:
        store = await backend.open(str(folder), create=True)
    except MeerkatError:
        shutil.copytree(folder, copy)
        return story.record
    try:
        await story.tell(store)
        shutil.copytree(folder, copy)
        await store.tidy()
    except MeerkatError:
        # `tidy` may fail by the fault; nothing depends on it.
        pass
    finally:
        await store.aclose()
    return story.record


@pytest.mark.parametrize("stuck", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize(
    ("fault", "kinds"),
    [(io_error, CHANGES), (full, frozenset({"create", "write"})), (short_write, frozenset({"write"}))],
    ids=["input/output error", "disk full", "short write"],
)
async def test_no_fault_loses_an_acknowledged_write(
    fault: Fault, kinds: frozenset[Kind], stuck: bool, tmp_path: Path
) -> None:
    plain = JsonlBackend(disk=WatchedDisk(unwatched))
    everything: set[str] = set()
    for at in range(1, MOST_OPERATIONS):
        folder, copy = tmp_path / str(at), tmp_path / f"{at} copy"
        folder.mkdir()
        saboteur = Saboteur(fault, kinds, at, stuck=stuck)
        with trio.fail_after(20):
            record = await _tell(JsonlBackend(disk=WatchedDisk(saboteur)), folder, copy)
            for place in (folder, copy):
                seen = await look(plain, str(place), TURNS)
                assert record.written <= seen <= record.written | record.unknown, f"{place}, after a fault at {at}"
        everything |= record.written | record.unknown | record.refused
        if not saboteur.struck:
            break
    else:
        raise AssertionError("the store never came to an end")
    assert {"create", "begin 1", "end 1"} <= everything


class Broken:
    """A disk whose operations of some kinds, on paths with `name` in them, fail while it is told so."""

    def __init__(self) -> None:
        self.kinds: frozenset[Kind] = frozenset()
        self.name = ""
        self.fault: Fault = io_error

    def __call__(self, operation: DiskOperation) -> None:
        if operation.kind in self.kinds and self.name in operation.path:
            raise self.fault(operation)


@pytest.fixture
async def broken(tmp_path: Path) -> AsyncIterator[tuple[Broken, Bench]]:
    """A disk to break, and an open store on it."""
    disk = Broken()
    backend = JsonlBackend(disk=WatchedDisk(disk))
    with trio.fail_after(20):
        bench = Bench(backend, str(tmp_path), await backend.open(str(tmp_path), create=True))
        yield disk, bench
        disk.kinds = frozenset()
        await bench.store.aclose()


def _size(path: str) -> int:
    return os.stat(path).st_size


async def test_failed_sync_that_can_be_cut_off_is_a_refusal(broken: tuple[Broken, Bench]) -> None:
    """The cut is synced through a descriptor of its own: after it the lines cannot come back, whatever happens."""
    disk, bench = broken
    session = await bench.new_session()
    path = os.path.join(bench.folder, "sessions", f"{session.session_id}.jsonl")
    size = _size(path)

    def fail_once(operation: DiskOperation) -> Exception:
        disk.kinds = frozenset()
        return io_error(operation)

    disk.fault, disk.kinds = fail_once, frozenset({"sync"})
    with pytest.raises(StorageFailed):
        await bench.begin(session.session_id)
    assert _size(path) == size
    assert (await bench.stored(session.session_id)).turn_count == 0
    await bench.begin(session.session_id)


async def test_failed_sync_that_cannot_be_cut_off_is_unknown_and_the_next_call_tells(
    broken: tuple[Broken, Bench],
) -> None:
    disk, bench = broken
    session = await bench.new_session()
    disk.kinds = frozenset({"sync"})
    with pytest.raises(StorageUnknown):
        await bench.begin(session.session_id)
    with pytest.raises(StorageFailed):
        await bench.store.session(session.session_id)
    with pytest.raises(StorageFailed):
        await bench.new_session()
    disk.kinds = frozenset()
    assert (await bench.stored(session.session_id)).turn_count == 0
    assert await bench.store.running_turns() == []
    await bench.append(session.session_id, "works on")
    await bench.reopen()
    assert await bench.bodies(session.session_id) == ["works on"]


async def test_session_whose_name_could_not_be_synced_is_taken_away(broken: tuple[Broken, Bench]) -> None:
    disk, bench = broken
    disk.kinds = frozenset({"sync_folder"})
    row = bench.session_row()
    with pytest.raises(StorageUnknown):
        await bench.store.create_session(row, key=KeyRow(key="k", method="m", digest="d"))
    disk.kinds = frozenset()
    assert await bench.store.session(row.session_id) is None
    assert await bench.store.key("k") is None
    assert os.listdir(Path(bench.folder, "sessions")) == []
    await bench.store.create_session(row, key=KeyRow(key="k", method="m", digest="d"))


async def test_failed_log_does_not_sink_the_others_of_its_batch(broken: tuple[Broken, Bench]) -> None:
    disk, bench = broken
    sessions = [await bench.new_session() for _ in range(6)]
    bad = sessions[3].session_id
    refused: list[str] = []
    disk.kinds, disk.name, disk.fault = frozenset({"write"}), bad, full

    async def reserve(session_id: str) -> None:
        try:
            await bench.store.reserve_events(session_id, 9)
        except StorageFull:
            refused.append(session_id)

    async with trio.open_nursery() as nursery:
        for session in sessions:
            nursery.start_soon(reserve, session.session_id)
    assert refused == [bad]
    for session in sessions:
        expected = 0 if session.session_id == bad else 9
        assert (await bench.stored(session.session_id)).event_seq == expected


@dataclass
class Job:
    """What a batch is made of, without anybody who waits for it."""

    work: Callable[[Any], Any]
    writes: bool = True
    outcome: Outcome[Any] = field(default_factory=lambda: Value("not set"))


def test_refusal_is_never_built_on_a_write_that_fails(tmp_path: Path) -> None:
    """Two callers want one key in the same batch. The first one's log fails, so the second one must get the key."""
    disk = Broken()
    files = open_realm(str(tmp_path), create=True, disk=WatchedDisk(disk))
    committer = Committer(files)
    disk.kinds, disk.name = frozenset({"write"}), "first"
    key = KeyRow(key="k", method="m", digest="d")
    rows = [SessionRow(session_id=name, created_ms=0, updated_ms=0) for name in ("first", "second", "third")]
    jobs = [Job(partial(create_session, session=row, turn=None, key=key)) for row in rows]
    committer.run(jobs)
    with pytest.raises(StorageFailed):
        jobs[0].outcome.unwrap()
    assert jobs[1].outcome.unwrap() is None
    with pytest.raises(DuplicateInput):
        jobs[2].outcome.unwrap()
    committer.close()


async def test_full_disk_refuses_and_the_store_works_on_once_there_is_room(broken: tuple[Broken, Bench]) -> None:
    disk, bench = broken
    disk.fault, disk.kinds = short_write, frozenset({"write"})
    story = Story(1)
    await story.tell(bench.store)
    assert story.record.refused == {"create"}
    with pytest.raises(StorageFull) as caught:
        await bench.new_session()
    assert caught.value.details["errno"] == "ENOSPC"
    disk.kinds = frozenset()
    again = Story(1)
    await again.tell(bench.store)
    assert again.record.written == {"create", "begin 0", "end 0"} == await found(bench.store, 1)
