"""A fault at every single operation on the files: no acknowledged write is lost, no refused one comes back.

At each fault the files are copied as they are, as if the process had ended right there, and the copy is opened too.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import apsw
import pytest
import trio
from tests.store.conformance.bench import bench_of
from tests.store.story import Record, Story, found, look
from tests.store.watched_vfs import Operation, unwatched, watched_vfs

from meerkatd.errors import MeerkatError, StorageFull, StorageUnknown
from meerkatd.store.sqlite import SqliteBackend

# More operations than a story has; a store that retries for ever fails by it.
MOST_OPERATIONS = 1000

Fault = Callable[[], Exception]


class Saboteur:
    """Fails operation number `at` of the kinds in `kinds`, and with `stuck` every one after it."""

    def __init__(self, fault: Fault, kinds: set[str], at: int, *, stuck: bool, folder: Path, copy: Path) -> None:
        self._fault = fault
        self._kinds = kinds
        self._at = at
        self._stuck = stuck
        self._folder = folder
        self._copy = copy
        self._count = 0
        self.struck = False
        self.healed = False

    def __call__(self, operation: Operation) -> None:
        if self.healed or operation.kind not in self._kinds:
            return
        self._count += 1
        if self._count == self._at or (self._stuck and self._count > self._at):
            if not self.struck:
                shutil.copytree(self._folder, self._copy)
            self.struck = True
            raise self._fault()


def _io_error() -> Exception:
    return apsw.IOError("injected")


def _full() -> Exception:
    return apsw.FullError("injected")


async def _tell(backend: SqliteBackend, folder: Path, saboteur: Saboteur, turns: int) -> Record:
    """Open, tell the story, tidy, close. Whatever fails there by the fault fails with an error of the table."""
    story = Story(turns)
    with suppress(MeerkatError):
        store = await backend.open(str(folder), create=True)
        try:
            await story.tell(store)
            await store.tidy()
        finally:
            await store.aclose()
    saboteur.healed = True
    return story.record


async def _look(folder: Path, turns: int) -> set[str]:
    with trio.fail_after(20), watched_vfs(unwatched, "unwatched") as vfs:
        return await look(SqliteBackend(vfs=vfs), str(folder), turns)


@pytest.mark.parametrize("turns", [1, pytest.param(5, marks=pytest.mark.long)])
@pytest.mark.parametrize("stuck", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize(
    ("fault", "kinds"),
    [(_io_error, {"write", "sync", "truncate", "delete", "open"}), (_full, {"write"})],
    ids=["input/output error", "disk full"],
)
async def test_no_fault_loses_an_acknowledged_write(
    fault: Fault, kinds: set[str], stuck: bool, turns: int, tmp_path: Path
) -> None:
    everything: set[str] = set()
    for at in range(1, MOST_OPERATIONS):
        folder, copy = tmp_path / str(at), tmp_path / f"{at} copy"
        folder.mkdir()
        saboteur = Saboteur(fault, kinds, at, stuck=stuck, folder=folder, copy=copy)
        with trio.fail_after(20), watched_vfs(saboteur) as vfs:
            record = await _tell(SqliteBackend(vfs=vfs), folder, saboteur, turns)
        seen = await _look(folder, turns)
        assert record.written <= seen <= record.written | record.unknown, f"after a fault at operation {at}"
        everything |= record.written | record.unknown | record.refused
        if not saboteur.struck:
            break
        stopped_there = await _look(copy, turns)
        assert not record.refused & stopped_there, f"operation {at}: a refused write came back"
    else:
        raise AssertionError("the store never came to an end")
    assert {"create", "begin 0", "end 0"} <= everything


class Switch:
    """Refuses operations of one kind on the log while it is on."""

    def __init__(self, kind: str, fault: Fault) -> None:
        self._kind = kind
        self._fault = fault
        self.on = False

    def __call__(self, operation: Operation) -> None:
        if self.on and operation.kind == self._kind and operation.path.endswith("-wal"):
            raise self._fault()


async def test_failed_commit_is_unknown_and_the_next_call_tells(tmp_path: Path) -> None:
    """Measured: after a failed sync in COMMIT the old connection denies a row that a crash would bring back.

    So what is told after that must be what a crash leaves, and not rest on pages that the system no longer writes.
    """
    switch = Switch("sync", _io_error)
    with trio.fail_after(20), watched_vfs(switch) as vfs:
        store = await SqliteBackend(vfs=vfs).open(str(tmp_path), create=True)
        switch.on = True
        story = Story(1)
        await story.tell(store)
        switch.on = False
        assert story.record.unknown == {"create"}
        told = await found(store, 1)
        shutil.copytree(tmp_path, tmp_path / "copy")
        await store.aclose()
    assert os.stat(tmp_path / "copy" / "sessions.sqlite3-wal").st_size == 0
    assert await look(SqliteBackend(), str(tmp_path / "copy"), 1) == told
    assert await look(SqliteBackend(), str(tmp_path), 1) == told


async def test_everybody_of_a_batch_is_told_of_its_failed_commit(tmp_path: Path) -> None:
    switch = Switch("sync", _io_error)
    failed: list[StorageUnknown] = []
    with trio.fail_after(20), watched_vfs(switch) as vfs:
        async with bench_of(SqliteBackend(vfs=vfs), str(tmp_path)) as bench:
            sessions = [await bench.new_session() for _ in range(5)]

            async def reserve(session_id: str) -> None:
                with pytest.raises(StorageUnknown) as caught:
                    await bench.store.reserve_events(session_id, 5)
                failed.append(caught.value)

            switch.on = True
            async with trio.open_nursery() as nursery:
                for session in sessions:
                    nursery.start_soon(reserve, session.session_id)
            switch.on = False
            assert len({id(error) for error in failed}) == 5
            assert failed[0].details["path"] == str(tmp_path / "sessions.sqlite3")
            for session in sessions:
                await bench.store.reserve_events(session.session_id, 6)
                assert (await bench.stored(session.session_id)).event_seq == 6


async def test_full_disk_refuses_and_the_store_works_on_once_there_is_room(tmp_path: Path) -> None:
    switch = Switch("write", _full)
    with trio.fail_after(20), watched_vfs(switch) as vfs:
        async with bench_of(SqliteBackend(vfs=vfs), str(tmp_path)) as bench:
            switch.on = True
            row = bench.session_row()
            with pytest.raises(StorageFull):
                await bench.store.create_session(row)
            assert await bench.listed() == []
            switch.on = False
            await bench.store.create_session(row)
            assert await bench.listed() == [row.session_id]
