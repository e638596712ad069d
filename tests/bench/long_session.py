"""What a turn costs when two thousand have gone before it: the daemon's own part, and the whole with its provider's.

A provider is sent all of what the model sees with each call, so the making of its request grows with the size of the
context, which nothing but compaction bounds. So three sessions grow turn by turn: one whose provider reads nothing of
the history, which leaves the daemon's own part; one whose provider makes the request that OpenAI's format has, with the
default settings of compaction; and the same without compaction, for knowing what that saves.
"""

import statistics
from collections.abc import Iterator
from typing import NamedTuple

import psutil
from tests.bench.harness import Row, Scale, best_of, cpu_seconds, folder, instant_daemon, over_rounds, timed
from tests.bench.instant_daemon import ENDLESS, WHOLE
from tests.bench.load import Line, daemon_lines

REALM = "bench"
EARLY = 20
GOAL_RATIO = 1.2
MIB = 1024 * 1024
# Of a turn's prompt and of its answer: 2,000 turns are 1.2 MB, some 300,000 tokens.
CHARS = 300
# Turns of a round.
_NEAR = 10


def run(scale: Scale) -> Iterator[Row]:
    sessions = (("own part", "own", GOAL_RATIO), ("with its request", WHOLE, None), ("never compacted", ENDLESS, None))
    for name, model, goal in sessions:
        with folder() as root, instant_daemon(root) as pid, daemon_lines(root, REALM, 1) as (line,):
            yield from _grown(name, line, pid, model=model, scale=scale, goal=goal)


def _grown(name: str, line: Line, pid: int, *, model: str, scale: Scale, goal: float | None) -> Iterator[Row]:
    late = scale.of(2000, 60)
    session = Session(line, pid, model)
    session.turns(EARLY)
    memory = psutil.Process(pid).memory_info().rss
    session.turns(late - EARLY)
    grown = psutil.Process(pid).memory_info().rss
    # In turns with sessions that are as young as this one was, so that whoever else uses the machine slows both alike.
    early, at_late = [], []
    for _ in range(scale.of(7, 1)):
        young = Session(line, pid, model)
        young.turns(EARLY - _NEAR // 2)
        early.append(young.turns(_NEAR))
        at_late.append(session.turns(_NEAR))
    what, against = f"turn {late}, {name}", f"turn {EARLY}"
    walls, early_walls = [each.walls for each in at_late], [each.walls for each in early]
    yield Row(
        what=f"{what}, p50",
        figure=over_rounds(walls, 0.5),
        best=best_of(walls, 0.5),
        baseline=over_rounds(early_walls, 0.5),
        against=against,
        goal=goal,
        judged="ratio",
    )
    cpu, early_cpu = ([each.cpu * 1e6 for each in rounds] for rounds in (at_late, early))
    median = statistics.median
    yield Row(
        what=f"{what}, CPU", figure=median(cpu), best=min(cpu), unit="us", baseline=median(early_cpu), against=against
    )
    yield Row(
        what=f"{what}, RSS",
        figure=grown / MIB,
        unit="MiB",
        baseline=memory / MIB,
        against=against,
        goal=goal,
        judged="ratio",
    )


class Taken(NamedTuple):
    """Seconds of some turns, and of the daemon's CPU for each of them."""

    walls: list[float]
    cpu: float


class Session:
    """A session that grows."""

    def __init__(self, line: Line, pid: int, model: str) -> None:
        created = line.call("session/create", {"prompt": "x" * CHARS, "model": model})
        self._line, self._pid = line, pid
        self._params = {"session_id": created["session_id"], "prompt": "x" * CHARS}

    def turns(self, count: int) -> Taken:
        before = cpu_seconds(self._pid)
        walls = timed(lambda: self._line.call("turn/start", self._params), count)
        return Taken(walls, (cpu_seconds(self._pid) - before) / count)
