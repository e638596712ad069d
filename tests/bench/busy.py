"""The refusal of a second turn, asked for by 64 clients at once.

Saturated: each client asks again as soon as it is refused, so a reply waits for those of the 63 others, and its latency
is 64 divided by the rate; below 5 ms means more than 12,800 replies a second. The paced rows are the latency that
somebody sees while the daemon has air: 1,000 requests a second over all clients, counted from when each was due.
"""

import statistics
from collections.abc import Iterator

from tests.bench.harness import Row, Scale, best_of, echo_server, folder, instant_daemon, over_rounds
from tests.bench.instant_daemon import HOLD
from tests.bench.load import Line, Outcome, daemon_lines, echo_lines, frame, hammer

CLIENTS = 64
PACE = 1000.0
GOAL_MS = 5.0


def run(scale: Scale) -> Iterator[Row]:
    count, total, rounds = scale.of(CLIENTS, 8), scale.of(8000, 200), scale.of(7, 1)
    with (
        folder() as root,
        instant_daemon(root) as pid,
        echo_server(root) as (path, echo_pid),
        daemon_lines(root, "bench", count + 1) as (holder, *clients),
        echo_lines(path, count) as echoes,
    ):
        request = frame("turn/start", {"session_id": held_session(holder), "prompt": "me too"})
        for what, requests, rate in (("1,000/s", total // 4, PACE), ("saturated", total, None)):
            refused, echoed = [], []
            for _ in range(rounds):
                refused.append(_refused(hammer(clients, lambda _: request, requests, pid=pid, rate=rate)))
                echoed.append(hammer(echoes, lambda _: request, requests, pid=echo_pid, rate=rate))
            yield from _rows(f"busy, {count} clients, {what}", refused, echoed)


def held_session(line: Line) -> str:
    """A session with a turn that runs until the daemon ends; `line` waits for it."""
    session: str = line.call("session/create", {"prompt": "hello"})["session_id"]
    line.send(frame("turn/start", {"session_id": session, "prompt": HOLD}))
    line.arrived()
    return session


def _refused(outcome: Outcome) -> Outcome:
    if outcome.codes != {"SESSION_BUSY": len(outcome.latencies)}:
        raise RuntimeError(f"not every request was refused as busy: {outcome.codes}")
    return outcome


def _rows(what: str, refused: list[Outcome], echoed: list[Outcome]) -> Iterator[Row]:
    taken, baseline = ([outcome.latencies for outcome in outcomes] for outcomes in (refused, echoed))
    for name, share, goal in (("p50", 0.5, None), ("p99", 0.99, GOAL_MS)):
        yield Row(
            what=f"{what}, {name}",
            figure=over_rounds(taken, share),
            best=best_of(taken, share),
            baseline=over_rounds(baseline, share),
            against="echo server",
            goal=goal,
        )
    yield Row(
        what=f"{what}, CPU of a reply",
        figure=statistics.median(outcome.cpu_us for outcome in refused),
        best=min(outcome.cpu_us for outcome in refused),
        unit="us",
        baseline=statistics.median(outcome.cpu_us for outcome in echoed),
        against="echo server",
    )
