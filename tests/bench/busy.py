"""The refusal of a second turn, asked for by 64 clients at once.

Saturated: each client asks again as soon as it is refused, so a reply waits for those of the 63 others, and its latency
is 64 divided by the rate; below 5 ms means more than 12,800 replies a second. The paced rows are the latency that
somebody sees while the daemon has air: 1,000 requests a second over all clients, counted from when each was due.
"""

from collections.abc import Iterator

from tests.bench.harness import Row, Scale, echo_server, folder, instant_daemon, over_rounds
from tests.bench.instant_daemon import STREAM
from tests.bench.load import Line, Outcome, daemon_lines, echo_lines, frame, hammer

CLIENTS = 64
PACE = 1000.0
GOAL_MS = 5.0


def run(scale: Scale) -> Iterator[Row]:
    total, rounds = scale.of(10_000, 200), scale.of(5, 1)
    with folder() as root, instant_daemon(root), daemon_lines(root, "bench", CLIENTS + 1) as (holder, *clients):
        session = held_session(holder)
        request = frame("turn/start", {"session_id": session, "prompt": "me too"})
        saturated = [_refused(hammer(clients, lambda _: request, total)) for _ in range(rounds)]
        paced = [_refused(hammer(clients, lambda _: request, total // 4, rate=PACE)) for _ in range(rounds)]
    with folder() as root, echo_server(root) as path, echo_lines(path, CLIENTS) as clients:
        echoed = [hammer(clients, lambda _: request, total) for _ in range(rounds)]
        echoed_paced = [hammer(clients, lambda _: request, total // 4, rate=PACE) for _ in range(rounds)]
    yield from _rows(f"busy, {CLIENTS} clients, {PACE:g}/s", paced, echoed_paced)
    yield from _rows(f"busy, {CLIENTS} clients, saturated", saturated, echoed)
    rate = max(outcome.rate for outcome in saturated)
    yield Row(
        what="busy, saturated, best round",
        figure=rate,
        unit="1/s",
        baseline=max(outcome.rate for outcome in echoed),
        against="echo server",
    )


def held_session(line: Line) -> str:
    """A session with a turn that runs until the daemon ends; `line` waits for it."""
    session: str = line.call("session/create", {"prompt": "hello"})["session_id"]
    line.send(frame("turn/start", {"session_id": session, "prompt": STREAM}))
    line.arrived()
    return session


def _refused(outcome: Outcome) -> Outcome:
    if outcome.codes != {"SESSION_BUSY": len(outcome.latencies)}:
        raise RuntimeError(f"not every request was refused as busy: {outcome.codes}")
    return outcome


def _rows(what: str, outcomes: list[Outcome], baseline: list[Outcome]) -> Iterator[Row]:
    for name, share, goal in (("p50", 0.5, None), ("p99", 0.99, GOAL_MS)):
        yield Row(
            what=f"{what}, {name}",
            figure=over_rounds([outcome.latencies for outcome in outcomes], share),
            baseline=over_rounds([outcome.latencies for outcome in baseline], share),
            against="echo server",
            goal=goal,
        )
