"""Group commit, cancellation and checkpoints of the SQLite backend."""

import threading
from pathlib import Path

import apsw
import pytest
import trio
import trio.testing
from tests.store.conformance.bench import Bench, bench_of
from tests.store.watched_vfs import Operation, watched_vfs

from meerkatd.store import sqlite
from meerkatd.store.api import SessionQuery
from meerkatd.store.sqlite import connection, reads
from meerkatd.store.sqlite.connection import Database
from meerkatd.store.sqlite.worker import BATCH_LIMIT, Worker


class Gate:
    """A job that holds the thread until it is opened, so that others gather behind it."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._token = trio.lowlevel.current_trio_token()
        self.entered = trio.Event()

    def __call__(self, _db: apsw.Connection) -> None:
        self._token.run_sync_soon(self.entered.set)
        assert self._open.wait(10)

    def open(self) -> None:
        self._open.set()


def _insert(number: int) -> "apsw.SQLiteValues":
    return (f"key {number}", "m", "d", None, None, None, 0)


async def _write(worker: Worker, number: int) -> None:
    await worker.write(lambda db: db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)", _insert(number)))


async def _count(worker: Worker) -> object:
    return await worker.read(lambda db: db.execute("SELECT count(*) FROM keys").get)


async def test_requests_that_wait_together_cost_one_sync(tmp_path: Path) -> None:
    syncs = 0

    def watcher(operation: Operation) -> None:
        nonlocal syncs
        syncs += operation.kind == "sync"

    with trio.fail_after(20), watched_vfs(watcher) as vfs:
        worker = Worker(Database(str(tmp_path), create=True, vfs=vfs))
        assert await _count(worker) == 0
        gate = Gate()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.read, gate)
            await gate.entered.wait()
            for number in range(BATCH_LIMIT):
                nursery.start_soon(_write, worker, number)
            await trio.testing.wait_all_tasks_blocked()
            syncs = 0
            gate.open()
        assert syncs == 1
        assert await _count(worker) == BATCH_LIMIT
        await worker.aclose()


async def test_withdrawn_write_has_not_happened(tmp_path: Path) -> None:
    with trio.fail_after(20):
        worker = Worker(Database(str(tmp_path), create=True))
        gate = Gate()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.read, gate)
            await gate.entered.wait()
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as writers:
                    writers.start_soon(_write, worker, 1)
                    await trio.testing.wait_all_tasks_blocked()
                    scope.cancel()
            assert scope.cancelled_caught
            gate.open()
        assert await _count(worker) == 0
        await worker.aclose()


async def test_write_that_was_taken_is_waited_for_and_answered(tmp_path: Path) -> None:
    """Measured: a commit that is cancelled half way happens all the same, so its caller has to be told of it."""
    with trio.fail_after(20):
        worker = Worker(Database(str(tmp_path), create=True))
        gate = Gate()
        answers: list[str] = []

        def slow(db: apsw.Connection) -> str:
            gate(db)
            db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)", _insert(1))
            return "done"

        async def write() -> None:
            answers.append(await worker.write(slow))

        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(write)
                await gate.entered.wait()
                scope.cancel()
                gate.open()
        assert answers == ["done"]
        assert await _count(worker) == 1
        await worker.aclose()


async def test_one_bad_request_fails_alone(tmp_path: Path) -> None:
    """Rows of the bad one that were already written are undone; those of its neighbours in the transaction stay."""
    with trio.fail_after(20):
        worker = Worker(Database(str(tmp_path), create=True))
        gate = Gate()

        def bad(db: apsw.Connection) -> None:
            db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)", _insert(99))
            raise LookupError("refused")

        async def refused() -> None:
            with pytest.raises(LookupError):
                await worker.write(bad)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.read, gate)
            await gate.entered.wait()
            nursery.start_soon(_write, worker, 1)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(refused)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(_write, worker, 2)
            await trio.testing.wait_all_tasks_blocked()
            gate.open()
        assert await worker.read(lambda db: db.execute("SELECT key FROM keys").fetchall()) == [("key 1",), ("key 2",)]
        await worker.aclose()


async def test_text_that_is_not_unicode_fails_alone(bench_sqlite: Bench) -> None:
    session = await bench_sqlite.new_session()
    with pytest.raises(UnicodeEncodeError):
        await bench_sqlite.append(session.session_id, "lone \ud800 surrogate")
    assert await bench_sqlite.bodies(session.session_id) == []


async def test_log_is_folded_while_writing_and_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FOLD_PAGES", 50)
    async with bench_of(sqlite.SqliteBackend(), str(tmp_path)) as bench:
        session = await bench.new_session()
        for _ in range(200):
            await bench.append(session.session_id, "x" * 2000)
        wal = tmp_path / "sessions.sqlite3-wal"
        assert wal.stat().st_size < 120 * 4200
        await bench.store.tidy()
        assert wal.stat().st_size == 0
        await bench.append(session.session_id, "goes on")


async def test_idle_store_has_one_thread_and_closing_ends_it(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    store = await sqlite.SqliteBackend().open(str(tmp_path), create=True)
    (thread,) = set(threading.enumerate()) - before
    await store.aclose()
    thread.join(10)
    assert not thread.is_alive()


def test_event_loop_that_ends_without_closing_does_not_hang(tmp_path: Path) -> None:
    stores = []

    async def main() -> None:
        stores.append(await sqlite.SqliteBackend().open(str(tmp_path), create=True))

    trio.run(main)
    assert stores


@pytest.mark.parametrize("include_archived", [False, True])
@pytest.mark.parametrize("labels", [{}, {"a": "1"}])
def test_list_walks_the_index_and_sorts_no_more_than_the_page(
    tmp_path: Path, include_archived: bool, labels: dict[str, str]
) -> None:
    """Measured: 100,000 sessions, unindexed 14 ms; with the index 0.05 ms."""
    database = Database(str(tmp_path), create=True)
    query = SessionQuery(include_archived=include_archived, labels=labels)
    statement = reads.list_statement(query)
    bindings = ("x",) * statement.count("?")
    plan = [row[3] for row in database.connection.execute(f"EXPLAIN QUERY PLAN {statement}", bindings)]
    database.close()
    inner, outer = plan[: plan.index("SCAN page")], plan[plan.index("SCAN page") :]
    assert any("COVERING INDEX sessions_newest" in line for line in inner), plan
    assert not any("TEMP B-TREE" in line or line == "SCAN sessions" for line in inner), plan
    assert outer[-1].endswith("ORDER BY"), plan


def test_page_of_messages_is_a_range_of_keys(tmp_path: Path) -> None:
    """Measured: a page from the end of 1,000,000 messages takes 150 ms with OFFSET and 0.03 ms by key."""
    database = Database(str(tmp_path), create=True)
    statement = "EXPLAIN QUERY PLAN SELECT octet_length(body), body FROM messages WHERE id >= ? AND id < ? ORDER BY id"
    plan = [row[3] for row in database.connection.execute(statement, (1, 2))]
    database.close()
    assert plan == ["SEARCH messages USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"]
