"""What every bench stands on: sizes, rows, statistics, a folder of its own, and processes that end by their pid.

Doubt: the daemon, the load and whatever else runs share the machine. So benches measure in several rounds and give the
median of the rounds' figures: a single slow round changes nothing, a slow program shows in all.
"""

import math
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import psutil

from meerkat_client._dial import daemon_record

ROOT = Path(__file__).resolve().parents[2]
# Longer than any single step takes on a slow machine: what takes longer hangs.
PATIENCE_S = 120.0
RUNTIME_DIR = "MEERKAT_RUNTIME_DIR"
# MEERKAT_BENCH_PROFILE: see `instant_daemon`.
_KEPT = ("PATH", "LANG", "TZ", "PYTHONPATH", RUNTIME_DIR, "MEERKAT_BENCH_PROFILE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much to do. `of` gives the full size of something, or its size in a quick run."""

    quick: bool = False

    def of(self, full: int, quick: int) -> int:
        return quick if self.quick else full


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured.
        figure, unit: how it came out; times are in ms.
        best: the same of the best round: noise only ever adds, so a wide gap says that the machine was busy.
        baseline, against: what it is compared with, in the same unit, and the name of that.
        goal: upper bound of what `judged` names; None for a row that is only for knowing.
    """

    what: str
    figure: float
    unit: str = "ms"
    best: float | None = None
    baseline: float | None = None
    against: str = ""
    goal: float | None = None
    judged: Literal["figure", "ratio", "difference"] = "figure"

    @property
    def ratio(self) -> float | None:
        return self.figure / self.baseline if self.baseline else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        if self.goal is None:
            return None
        judged = {"figure": self.figure, "ratio": self.ratio, "difference": self.figure - (self.baseline or 0.0)}
        value = judged[self.judged]
        assert value is not None, f"{self.what}: a ratio needs a baseline"
        return value <= self.goal


Bench = Callable[[Scale], Iterator[Row]]


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that at least `share` of all are not above."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def over_rounds(rounds: Sequence[Sequence[float]], share: float) -> float:
    """The median of the rounds' percentiles, in ms. Values are in seconds."""
    return statistics.median(percentile(values, share) for values in rounds) * 1000


def best_of(rounds: Sequence[Sequence[float]], share: float) -> float:
    """The lowest of the rounds' percentiles, in ms."""
    return min(percentile(values, share) for values in rounds) * 1000


def cpu_seconds(pid: int) -> float:
    """CPU that a process has used, in all its threads. Steadier than the clock while others use the machine."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def timed(work: Callable[[], object], times: int) -> list[float]:
    """Seconds that each of `times` calls of `work` took."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return taken


class Cost(NamedTuple):
    """Seconds by the clock, and of CPU."""

    wall: float
    cpu: float


def process_cost(command: Sequence[str], state_root: str, **variables: str) -> Cost:
    """What a client's process cost from start to end, without a daemon that it leaves behind.

    Raises:
        RuntimeError: it failed; with its last words.
    """
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    ended = subprocess.run(
        command,
        env=environment(state_root, **variables),
        cwd=state_root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    taken = time.perf_counter() - begun
    if ended.returncode:
        raise RuntimeError(f"{command} ended with {ended.returncode}: {ended.stderr.decode()[-2000:]}")
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(taken, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime)


@contextmanager
def folder() -> Iterator[str]:
    """A short path of our own, for one state root; the sockets go below it too while the block runs.

    Afterwards it is gone, and so is a daemon that a client started in it and that the block, as it failed, left behind.
    """
    path = tempfile.mkdtemp(prefix="mkb-")
    before = os.environ.get(RUNTIME_DIR)
    os.environ[RUNTIME_DIR] = f"{path}/run"
    try:
        yield path
    finally:
        if before is None:
            del os.environ[RUNTIME_DIR]
        else:
            os.environ[RUNTIME_DIR] = before
        record = daemon_record(path)
        if record is not None and _is_alive(record):
            end_daemon(record["pid"])
        shutil.rmtree(path)


def _is_alive(record: dict[str, Any]) -> bool:
    """Whether the process that wrote the record still runs, and not a later one with its pid."""
    try:
        created = psutil.Process(record["pid"]).create_time()
    except psutil.NoSuchProcess:
        return False
    return bool(abs(created - record["create_time"]) < 1.0)


def environment(state_root: str, **more: str) -> dict[str, str]:
    """The environment of a client of the daemon of `state_root`: nothing of the caller's keys or home."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "HOME": state_root, "MEERKAT_STATE_ROOT": state_root, **more}


@contextmanager
def child(arguments: Sequence[str], state_root: str) -> Iterator[int]:
    """A Python program of ours that says READY on the descriptor `--ready-fd`; gives its pid, and ends it by that."""
    reading, writing = os.pipe()
    os.makedirs(state_root, mode=0o700, exist_ok=True)
    with open(os.path.join(state_root, "child.err"), "ab") as errors:
        process = subprocess.Popen(
            [sys.executable, *arguments, "--ready-fd", str(writing)],
            cwd=ROOT,
            env=environment(state_root),
            pass_fds=(writing,),
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
        )
    os.close(writing)
    try:
        with open(reading, "rb") as pipe:
            word = pipe.read(6)
        if word != b"READY\n":
            raise RuntimeError(f"{arguments} did not start: {Path(state_root, 'child.err').read_text()[-2000:]}")
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def instant_daemon(state_root: str) -> Iterator[int]:
    """A daemon whose provider answers at once, and that does not wait for turns when it is ended; gives its pid."""
    options = ["--state-root", state_root, "--foreground", "--drain-seconds", "0"]
    with child(["-m", "tests.bench.instant_daemon", *options], state_root) as pid:
        yield pid


def end_daemon(pid: int) -> None:
    """Kill a daemon that a client started, and wait until it is gone."""
    try:
        process = psutil.Process(pid)
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
    except psutil.NoSuchProcess:
        return


@contextmanager
def echo_server(directory: str) -> Iterator[tuple[str, int]]:
    """The echo server; gives the path of its socket, and its pid."""
    path = os.path.join(directory, "echo.sock")
    with child(["-m", "tests.bench.echo_server", path], directory) as pid:
        yield path, pid
