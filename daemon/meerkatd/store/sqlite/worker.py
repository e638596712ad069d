"""The one thread that talks to a realm's database, and group commit.

Callers put a job, which is one synchronous function of the connection, into a queue and sleep; the thread takes
what has arrived, at most 64 jobs, and runs all writes among them in one transaction, each inside its own SAVEPOINT,
so that a bad one fails alone. While it commits, the next batch gathers by itself: no delay is added, no task of the
event loop is needed, and an idle realm wakes nobody. The queue needs no bound: every entry is a caller that waits.

Why a thread of our own and not `apsw.aio`: with that, batches must be driven by a task that somebody owns, or by
whichever caller came first, who then waits for the others and for the checkpoint too. Here the checkpoint runs
after the replies are out.

Reads use the same connection, before the writes of their batch: they never see an uncommitted row, and wait for one
commit at most. Doubt: where a sync takes milliseconds and somebody writes all the time, a page takes as long; a
second connection would not. It would also need the shared memory file, and to be thrown away together with the first
one when a commit fails. Realms that are written without a pause are rare, so there is one.

Cancellation: a job that the thread has not taken is withdrawn and nothing of it happens. A job that was taken is
waited for, and its outcome is returned. Both sides claim the job by the same lock, so it is always one of the two.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import apsw
import outcome
import trio

from ...errors import MeerkatError
from ...instruments import COMMIT_SECONDS, GROUP_SIZE
from .connection import Database
from .faults import commit_fault, storage_fault

T = TypeVar("T")

# A batch longer than this gains nothing: fsync is a small part of its time by then, and its first caller waits
# for all.
BATCH_LIMIT = 64


class _Job:
    """One request: what to do, who waits for it, and how it went."""

    __slots__ = ("_claim", "outcome", "task", "work", "writes")

    def __init__(self, work: Callable[[apsw.Connection], Any], *, writes: bool) -> None:
        self.work = work
        self.writes = writes
        self.task = trio.lowlevel.current_task()
        self.outcome: outcome.Outcome[Any] = outcome.Value(None)
        self._claim = threading.Lock()

    def claim(self) -> bool:
        """True for the first who asks, be it the thread that runs the job or the caller who withdraws it."""
        return self._claim.acquire(blocking=False)


def _deliver(jobs: Sequence[_Job]) -> None:
    for job in jobs:
        trio.lowlevel.reschedule(job.task, job.outcome)


class Worker:
    """Runs functions on one database, in a thread of its own, until `aclose`. Make it inside `trio.run`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._inbox: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._token = trio.lowlevel.current_trio_token()
        self._closing = False
        self._closed = trio.Event()
        # A daemon thread: a program that ends without closing must not hang, and the log is made for being cut
        # off.
        threading.Thread(target=self._serve, name=f"store {database.path}", daemon=True).start()

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run `work` outside of any transaction."""
        return await self._run(work, writes=False)

    async def write(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run `work` in a transaction and return once that is on the disk. What `work` raises undoes it."""
        return await self._run(work, writes=True)

    async def aclose(self) -> None:
        """Finish what was asked for, release the files. Idempotent, not interrupted by cancellation."""
        if not self._closing:
            self._closing = True
            self._inbox.put(None)
        with trio.CancelScope(shield=True):
            await self._closed.wait()

    async def _run(self, work: Callable[[apsw.Connection], T], *, writes: bool) -> T:
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._closing:
            raise trio.ClosedResourceError("this realm's store is closed")
        job = _Job(work, writes=writes)
        self._inbox.put(job)

        def withdraw(_: Any) -> trio.lowlevel.Abort:
            return trio.lowlevel.Abort.SUCCEEDED if job.claim() else trio.lowlevel.Abort.FAILED

        result: T = await trio.lowlevel.wait_task_rescheduled(withdraw)
        return result

    # -- in the thread
    # --------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            while (jobs := self._next_batch()) is not None:
                self._run_batch(jobs)
        except trio.RunFinishedError:
            # The event loop ended without closing the store: nobody is left to answer.
            return
        finally:
            self._database.close()
        self._token.run_sync_soon(self._closed.set)

    def _next_batch(self) -> list[_Job] | None:
        """What has arrived, at least one job; None when the store is to be closed."""
        item = self._inbox.get()
        if item is None:
            return None
        jobs = [item]
        while len(jobs) < BATCH_LIMIT:
            try:
                item = self._inbox.get_nowait()
            except queue.Empty:
                break
            if item is None:
                self._inbox.put(None)
                break
            jobs.append(item)
        return jobs

    def _run_batch(self, jobs: Sequence[_Job]) -> None:
        taken = [job for job in jobs if job.claim()]
        reads = [job for job in taken if not job.writes]
        writes = [job for job in taken if job.writes]
        if reads:
            for job in reads:
                job.outcome = outcome.capture(self._read, job)
            self._token.run_sync_soon(_deliver, reads)
        if writes:
            begun = time.perf_counter()
            self._write(writes)
            COMMIT_SECONDS.observe(time.perf_counter() - begun, label="sqlite")
            GROUP_SIZE.observe(len(writes), label="sqlite")
            self._token.run_sync_soon(_deliver, writes)
            self._database.fold_if_due()

    def _read(self, job: _Job) -> Any:
        try:
            return job.work(self._database.connection)
        except apsw.Error as error:
            raise storage_fault(error, self._database.path) or error from error

    def _write(self, jobs: Sequence[_Job]) -> None:
        """Run `jobs` in one transaction and set their outcomes."""
        path = self._database.path
        try:
            connection = self._database.connection
            self._database.check_name()
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._write_one(connection, job)
        except Exception as error:
            self._undo()
            for job in jobs:
                job.outcome = outcome.Error(_for_one(error, storage_fault(error, path)))
            return
        try:
            connection.execute("COMMIT")
        except Exception as error:
            for job in jobs:
                job.outcome = outcome.Error(_for_one(error, commit_fault(error, path)))
            if isinstance(error, apsw.FullError):
                self._undo()
            else:
                self._database.poison()

    def _write_one(self, connection: apsw.Connection, job: _Job) -> None:
        """One job inside its SAVEPOINT. A fault of the disk is raised, for it spoils the transaction of all."""
        connection.execute("SAVEPOINT job")
        try:
            job.outcome = outcome.Value(job.work(connection))
        except Exception as error:
            if storage_fault(error, self._database.path) is not None or not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO job")
            job.outcome = outcome.Error(error)
        connection.execute("RELEASE job")

    def _undo(self) -> None:
        """Roll back what is open. SQLite has done so by itself after some faults."""
        try:
            connection = self._database.connection
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except (apsw.Error, MeerkatError):
            # Nothing of it can be committed any more; the next use opens the file afresh.
            self._database.poison()


def _for_one(error: Exception, fault: MeerkatError | None) -> Exception:
    """The error for one of several callers. Each gets an object of its own, for tracebacks grow on it."""
    if fault is None and isinstance(error, MeerkatError):
        fault = type(error)(error.message, details=error.details, hint=error.hint)
    if fault is None:
        return error
    fault.__cause__ = error
    return fault
