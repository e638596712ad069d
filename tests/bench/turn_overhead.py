"""What a turn costs beside its model, in a short session and in one of 100,000 messages.

Warm: the transcript is in memory, as it is between the turns of a conversation. The two sessions are taken in turns, a
round of each, and each round's first turn is told apart, because it may have to read the transcript again.
"""

import statistics
from collections.abc import Iterator
from typing import NamedTuple

from tests.bench.fill import REALM, add_session, filled
from tests.bench.harness import Row, Scale, best_of, cpu_seconds, folder, instant_daemon, over_rounds, timed
from tests.bench.load import Line, daemon_lines

from meerkatd.store.api import RealmStore

SHORT = 10
TEXT_BYTES = 300
GOAL_RATIO = 1.1


def run(scale: Scale) -> Iterator[Row]:
    long = scale.of(100_000, 500)
    ids: list[str] = []

    async def fill(store: RealmStore) -> None:
        ids.extend([await add_session(store, count, text_bytes=TEXT_BYTES) for count in (SHORT, long)])

    with folder() as root:
        filled(root, fill)
        with instant_daemon(root) as pid, daemon_lines(root, REALM, 1) as (line,):
            rounds = [[_turns(line, pid, session, scale.of(60, 3)) for session in ids] for _ in range(scale.of(9, 2))]
    at_short, at_long = ([each[place] for each in rounds] for place in (0, 1))
    what = f"turn at {long} messages"
    short_warm, long_warm = ([each.warm for each in measured] for measured in (at_short, at_long))
    for name, share, goal in (("p50", 0.5, GOAL_RATIO), ("p99", 0.99, None)):
        yield Row(
            what=f"{what}, warm, {name}",
            figure=over_rounds(long_warm, share),
            best=best_of(long_warm, share),
            baseline=over_rounds(short_warm, share),
            against=f"at {SHORT} messages",
            goal=goal,
            judged="ratio",
        )
    for name, of, unit in (("warm, CPU", _cpu_us, "us"), ("after another session", _first_ms, "ms")):
        yield Row(
            what=f"{what}, {name}",
            figure=statistics.median(map(of, at_long)),
            best=min(map(of, at_long)),
            unit=unit,
            baseline=statistics.median(map(of, at_short)),
            against=f"at {SHORT} messages",
        )


class Round(NamedTuple):
    """Seconds of a round's first turn and of the others, and the daemon's CPU for each of these."""

    first: float
    warm: list[float]
    cpu: float


def _turns(line: Line, pid: int, session: str, times: int) -> Round:
    def turn() -> object:
        return line.call("turn/start", {"session_id": session, "prompt": "go on"})

    (first,) = timed(turn, 1)
    before = cpu_seconds(pid)
    warm = timed(turn, times)
    return Round(first, warm, (cpu_seconds(pid) - before) / times)


def _cpu_us(measured: Round) -> float:
    return measured.cpu * 1e6


def _first_ms(measured: Round) -> float:
    return measured.first * 1e3
