"""A hundred `rkat-rpc` at once, each with a realm of its own, beside a hundred bare interpreters with cbor2 and socket.

All are started before the first is waited for. Time runs until the last has answered `initialize`, or, for a bare one,
has said that its imports are done; memory is measured while all of them live. The daemon runs before.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil
from tests.bench.harness import ROOT, Row, Scale, environment, folder, instant_daemon

SHIMS = 100
GOAL_RATIO = 1.5
_MIB = 1024 * 1024
# As an installed entry point starts it.
_SHIM = ("-c", "import sys; from rkat_shims.rpc.__main__ import main; sys.exit(main())")
_BARE = ("-c", "import cbor2, socket; print('{}', flush=True); input()")
_INITIALIZE = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}\n'


def run(scale: Scale) -> Iterator[Row]:
    count = scale.of(SHIMS, 4)
    with folder() as root, instant_daemon(root):
        rounds = [(_crowd(_SHIM, root, count), _crowd(_BARE, root, count)) for _ in range(scale.of(3, 1))]
    walls, memories = (
        [statistics.median(each[program][figure] for each in rounds) for program in (0, 1)] for figure in (0, 1)
    )
    for what, (ours, bare), unit in (
        (f"{count} rkat-rpc at once, until the last has answered", walls, "ms"),
        ("memory of each, PSS", memories, "MiB"),
    ):
        yield Row(
            what=what,
            figure=ours,
            unit=unit,
            baseline=bare,
            against="cbor2, socket",
            goal=GOAL_RATIO,
            judged="ratio",
        )


def _crowd(program: Sequence[str], root: str, count: int) -> tuple[float, float]:
    """Milliseconds until the last one answered, and MiB of one of them."""
    begun = time.perf_counter()
    with _processes(program, root, count) as processes:
        answers = [process.stdout.readline() for process in processes if process.stdout is not None]
        wall = time.perf_counter() - begun
        if not all(answers):
            raise RuntimeError(f"{program} ended without an answer")
        if len({*answers}) not in (1, count):
            raise RuntimeError("two of them have the same realm")
        memory = statistics.mean(_memory(process.pid) for process in processes)
    return wall * 1000, memory / _MIB


@contextmanager
def _processes(program: Sequence[str], root: str, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            process = subprocess.Popen(
                [sys.executable, *program],
                cwd=ROOT,
                env=environment(root),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            processes.append(process)
            if program is _SHIM and process.stdin is not None:
                process.stdin.write(_INITIALIZE)
                process.stdin.flush()
        yield processes
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.communicate()


def _memory(pid: int) -> int:
    """Proportional where the system tells it, resident otherwise."""
    found = psutil.Process(pid).memory_full_info()
    return int(getattr(found, "pss", found.rss))
