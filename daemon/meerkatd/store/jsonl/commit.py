"""Carrying out a batch of jobs: reads, then writes with one sync per log. Synchronous; one batch at a time.

A write is checked against what is known, taken in, and its lines gathered; `_flush` then writes all lines of a log at
once and syncs. When that fails, what was taken in is taken back and the file is cut to where it was, through a new
descriptor: Linux reports a failed sync once and takes the pages for clean from then on, so to go on appending would
build on sand. Once the cut is synced it is certain that nothing was written; when the cut fails too, the outcome is
unknown, and no job is done before it has succeeded.

Jobs of a batch build on each other before any of them is on the disk. So a job is refused only on an empty table: it
is tried again after a flush when there was something to flush.
"""

import functools
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import outcome

from ...errors import MeerkatError
from ...instruments import COMMIT_SECONDS, GROUP_SIZE
from ..disk import NEW
from ..file_faults import storage_fault, unknown
from .catalog import KINDS, Log, Session, Undo
from .files import RealmFiles
from .record import crc_of, seal
from .writes import Change

# More gain nothing (64 threads were slower than 16), and each has a file open.
PARALLEL_SYNCS = 16

_log = logging.getLogger(__name__)


class Job(Protocol):
    """What a batch is made of.

    Attributes:
        work: a function of the files when it reads, of the catalog when it writes.
        outcome: set when the batch is done.
    """

    @property
    def work(self) -> Callable[[Any], Any]: ...
    @property
    def writes(self) -> bool: ...

    outcome: outcome.Outcome[Any]


@functools.cache
def _writers() -> ThreadPoolExecutor:
    """For syncing several logs at once. The file system commits them together: measured on ext4 over 64 files, 270
    syncs a second one after another and 3,400 from 16 threads. Started when first needed; idle threads cost nothing.
    """
    return ThreadPoolExecutor(PARALLEL_SYNCS, thread_name_prefix="jsonl sync")


class _Draft:
    """What is to be appended to one log, and how it was before."""

    def __init__(self, log: Log, *, fresh: bool) -> None:
        self.log = log
        self.fresh = fresh
        self.lines: list[bytes] = []
        self.jobs: list[Job] = []
        self.undo: list[Undo] = []
        self.size, self.records, self.crc = log.size, log.records, log.crc
        self.row = log.row if isinstance(log, Session) else None
        self.running = log.running if isinstance(log, Session) else ()


class Committer:
    """The only one who changes a realm's files and its catalog while it is open."""

    def __init__(self, files: RealmFiles) -> None:
        self._files = files
        self._disk = files.disk
        self._catalog = files.catalog
        self._drafts: dict[str, _Draft] = {}
        # Files that end in what was not committed: the size to cut them to, None for those that must go.
        self._broken: dict[str, int | None] = {}

    def run(self, jobs: Sequence[Job]) -> None:
        """Set every job's outcome."""
        for job in jobs:
            if not job.writes:
                job.outcome = outcome.capture(self._read, job)
        writes = [job for job in jobs if job.writes]
        if not writes:
            return
        begun = time.perf_counter()
        for job in writes:
            self._take(job)
        self._flush()
        COMMIT_SECONDS.observe(time.perf_counter() - begun, label="jsonl")
        GROUP_SIZE.observe(len(writes), label="jsonl")

    def close(self) -> None:
        """Release the files."""
        try:
            self._mend()
            self._files.keep_index()
        except (OSError, MeerkatError) as error:
            # The index is made again by the next opening, which also judges what could not be cut off. Those who
            # asked for that were told that its outcome is unknown.
            _log.warning("The realm in %s was closed without an index: %s", self._files.folder, error)
        finally:
            self._files.close()

    def _read(self, job: Job) -> Any:
        self._mend()
        try:
            return job.work(self._files)
        except OSError as error:
            raise storage_fault(error, self._files.folder) from error

    # -- taking in -------------------------------------------------------------------------------------------------

    def _take(self, job: Job) -> None:
        try:
            self._mend()
            change: Change = job.work(self._catalog)
            draft = self._drafts.get(change.log.name) or _Draft(change.log, fresh=change.fresh is not None)
            lines = seal(change.records, first=change.log.records, synced=draft.records)
        except Exception as error:
            if self._drafts:
                self._flush()
                self._take(job)
            else:
                job.outcome = outcome.Error(error)
            return
        if change.alone and self._drafts:
            self._flush()
            self._take(job)
            return
        self._stage(job, change, draft, lines)
        if change.alone:
            self._flush()

    def _stage(self, job: Job, change: Change, draft: _Draft, lines: Sequence[bytes]) -> None:
        log = change.log
        before = log.row if isinstance(log, Session) else None
        for record, line in zip(change.records, lines, strict=True):
            if record.kind in KINDS:
                undo = self._catalog.apply(log, record.kind, record.fields, log.size)
                if undo is not None:
                    draft.undo.append(undo)
            if isinstance(log, Session) and log.offsets is not None:
                log.offsets.apply(record.kind, record.fields.get("ordinal", 0), log.size)
            log.size += len(line)
            log.records += 1
            log.crc = crc_of(line)
        if change.fresh is not None:
            self._catalog.add(change.fresh)
        elif isinstance(log, Session) and before is not None:
            self._catalog.reorder(before, log.row)
        job.outcome = outcome.capture(change.result)
        if draft.lines or lines:
            # Also one that changes nothing itself: what it found may be in this draft only.
            draft.lines += lines
            draft.jobs.append(job)
            self._drafts[log.name] = draft

    # -- writing ---------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        drafts, self._drafts = list(self._drafts.values()), {}
        # One alone is not worth the hop to another thread.
        failed = list((map if len(drafts) == 1 else _writers().map)(self._write, drafts))
        for draft, error in zip(drafts, failed, strict=True):
            if error is not None:
                self._give_up(draft, error)
            elif isinstance(draft.log, Session):
                draft.log.indexed_ns = None
        created = [draft for draft, error in zip(drafts, failed, strict=True) if draft.fresh and error is None]
        if created:
            self._sync_names(created)

    def _sync_names(self, created: Sequence[_Draft]) -> None:
        try:
            self._disk.sync_folder(os.path.dirname(self._files.path(created[0].log.name)))
        except OSError as error:
            for draft in created:
                self._give_up(draft, error)

    def _write(self, draft: _Draft) -> Exception | None:
        """Put a draft on the disk; for a new file, all but its name. Runs in several threads at once."""
        write = self._disk.put if draft.fresh else self._disk.extend
        try:
            write(self._files.path(draft.log.name), b"".join(draft.lines))
        except Exception as error:
            return error
        return None

    def _give_up(self, draft: _Draft, error: Exception) -> None:
        path = self._files.path(draft.log.name)
        self._take_back(draft)
        self._broken[path] = None if draft.fresh else draft.size
        try:
            self._repair(path)
            fault = storage_fault
        except OSError:
            fault = unknown
        for job in draft.jobs:
            # Each gets an error of its own, for tracebacks grow on it.
            told = fault(error, path)
            told.__cause__ = error
            job.outcome = outcome.Error(told)

    def _take_back(self, draft: _Draft) -> None:
        for undo in reversed(draft.undo):
            undo()
        log = draft.log
        log.size, log.records, log.crc = draft.size, draft.records, draft.crc
        if not isinstance(log, Session) or draft.row is None:
            return
        log.offsets = None
        if draft.fresh:
            self._catalog.remove(log)
            return
        self._catalog.reorder(log.row, draft.row)
        log.row, log.running = draft.row, draft.running

    def _mend(self) -> None:
        """Cut off what could not be cut off before. Raises StorageFailed while that is so."""
        for path in list(self._broken):
            try:
                self._repair(path)
            except OSError as error:
                raise storage_fault(error, path) from error

    def _repair(self, path: str) -> None:
        size = self._broken[path]
        if size is None:
            self._disk.remove(path + NEW)
            self._disk.remove(path)
            self._disk.sync_folder(os.path.dirname(path))
        else:
            self._disk.cut(path, size)
        del self._broken[path]
