"""Batches of jobs, one after another, in a thread of trio's.

Whoever comes first starts a task that takes what has arrived, at most 64 jobs, carries it out in one hop to a thread,
and goes on until nobody waits; then it ends. What arrives meanwhile is the next batch: group commit without a delay,
no thread per realm, and nothing that wakes up while nobody asks.

Cancellation: a job that is not in a batch yet is withdrawn and nothing of it happens. One that is will be waited for,
and its outcome is returned.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import outcome
import trio

from .catalog import Catalog
from .commit import Committer
from .files import RealmFiles
from .writes import Change

T = TypeVar("T")

# A longer batch gains nothing, and its first caller waits for all.
BATCH_LIMIT = 64


class _Job:
    """One request: what to do, who waits for it, and how it went."""

    __slots__ = ("outcome", "task", "work", "writes")

    def __init__(self, work: Callable[[Any], Any], *, writes: bool) -> None:
        self.work = work
        self.writes = writes
        self.task = trio.lowlevel.current_task()
        self.outcome: outcome.Outcome[Any] = outcome.Value(None)


class Worker:
    """Carries out jobs until `aclose`. All methods but that raise `trio.ClosedResourceError` afterwards."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._waiting: deque[_Job] = deque()
        self._working = False
        self._closing = False
        self._idle = trio.Event()
        self._closed = trio.Event()
        # Of our own: the common one may be used up by whatever else the program does in threads.
        self._limiter = trio.CapacityLimiter(1)

    async def read(self, work: Callable[[RealmFiles], T]) -> T:
        result: T = await self._run(_Job(work, writes=False))
        return result

    async def write(self, work: Callable[[Catalog], Change]) -> Any:
        """Write the transaction that `work` makes, and return its result once it is on the disk."""
        return await self._run(_Job(work, writes=True))

    async def aclose(self) -> None:
        """Finish what was asked for, release the files. Idempotent, not interrupted by cancellation."""
        with trio.CancelScope(shield=True):
            if self._closing:
                await self._closed.wait()
                return
            self._closing = True
            if self._working:
                await self._idle.wait()
            await trio.to_thread.run_sync(self._committer.close, limiter=self._limiter)
            self._closed.set()

    async def _run(self, job: _Job) -> Any:
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._closing:
            raise trio.ClosedResourceError("this realm's store is closed")
        self._waiting.append(job)
        if not self._working:
            self._working = True
            trio.lowlevel.spawn_system_task(self._work, name="jsonl store")

        def withdraw(_: Any) -> trio.lowlevel.Abort:
            if job not in self._waiting:
                return trio.lowlevel.Abort.FAILED
            self._waiting.remove(job)
            return trio.lowlevel.Abort.SUCCEEDED

        return await trio.lowlevel.wait_task_rescheduled(withdraw)

    async def _work(self) -> None:
        while self._waiting:
            jobs = [self._waiting.popleft() for _ in range(min(BATCH_LIMIT, len(self._waiting)))]
            try:
                await trio.to_thread.run_sync(self._committer.run, jobs, limiter=self._limiter)
            except Exception as error:
                # A bug; but nobody shall wait for ever.
                for job in jobs:
                    job.outcome = outcome.Error(error)
            for job in jobs:
                trio.lowlevel.reschedule(job.task, job.outcome)
        self._working = False
        self._idle.set()
        self._idle = trio.Event()
