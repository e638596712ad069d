"""A page of 50 messages out of a million, wherever it lies, against the same page of a short session."""

import statistics
from collections.abc import Iterator, Sequence

from tests.bench.fill import REALM, add_session, filled
from tests.bench.harness import Row, Scale, best_of, cpu_seconds, folder, instant_daemon, over_rounds, timed
from tests.bench.load import Line, daemon_lines

from meerkatd.store.api import RealmStore

PAGE = 50
SHORT = 1000
GOAL_MS = 2.0
# Seconds of each page of a round, and the daemon's CPU for one in microseconds.
Round = tuple[list[float], float]


def run(scale: Scale) -> Iterator[Row]:
    count = scale.of(1_000_000, 2000)
    ids: list[str] = []

    async def fill(store: RealmStore) -> None:
        ids.extend([await add_session(store, messages) for messages in (SHORT, count)])

    with folder() as root:
        filled(root, fill)
        short, long = ids
        places = [(short, 0), (long, 0), (long, count // 2), (long, count - PAGE)]
        with instant_daemon(root) as pid, daemon_lines(root, REALM, 1) as (line,):
            rounds = [
                [_pages(line, pid, session, offset, scale.of(400, 5)) for session, offset in places]
                for _ in range(scale.of(9, 1))
            ]
    baseline, *others = zip(*rounds, strict=True)
    yield from _rows(f"page of {PAGE} of {SHORT}", baseline, None)
    for (_, offset), measured in zip(places[1:], others, strict=True):
        yield from _rows(f"page of {PAGE} at {offset} of {count}", measured, baseline)


def _pages(line: Line, pid: int, session: str, offset: int, times: int) -> Round:
    params = {"session_id": session, "offset": offset, "limit": PAGE}
    assert len(line.call("session/history", params)["messages"]) == PAGE
    before = cpu_seconds(pid)
    taken = timed(lambda: line.call("session/history", params), times)
    return taken, (cpu_seconds(pid) - before) / times * 1e6


def _rows(what: str, rounds: Sequence[Round], baseline: Sequence[Round] | None) -> Iterator[Row]:
    taken = [seconds for seconds, _ in rounds]
    against = "" if baseline is None else f"of {SHORT}"
    for name, share, goal in (("p50", 0.5, None), ("p99", 0.99, GOAL_MS)):
        yield Row(
            what=f"{what}, {name}",
            figure=over_rounds(taken, share),
            best=best_of(taken, share),
            baseline=None if baseline is None else over_rounds([seconds for seconds, _ in baseline], share),
            against=against,
            goal=goal,
        )
    yield Row(
        what=f"{what}, CPU of a page",
        figure=statistics.median(cpu for _, cpu in rounds),
        unit="us",
        best=min(cpu for _, cpu in rounds),
        baseline=None if baseline is None else statistics.median(cpu for _, cpu in baseline),
        against=against,
    )
