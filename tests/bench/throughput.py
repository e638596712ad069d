"""Whole turns of 64 clients, each in a session of its own, against the store alone doing what a turn writes."""

import functools
import statistics
import time
from collections.abc import Iterator

import trio
from tests.bench.fill import REALM, add_sessions, filled, message, turn_end, turn_row
from tests.bench.harness import Row, Scale, best_of, folder, instant_daemon, over_rounds
from tests.bench.load import Outcome, daemon_lines, frame, hammer

from meerkatd.store.api import RealmStore

CLIENTS = 64


def run(scale: Scale) -> Iterator[Row]:
    count, turns, rounds = scale.of(CLIENTS, 8), scale.of(3200, 80), scale.of(3, 1)
    alone = _store_alone(count, turns // count)
    with folder() as root, instant_daemon(root) as pid, daemon_lines(root, REALM, count) as clients:
        sessions = [line.call("session/create", {"prompt": "hello"})["session_id"] for line in clients]
        for events in (False, True):
            params = [{"session_id": session, "prompt": "go on", "session_events": events} for session in sessions]
            frames = [frame("turn/start", each) for each in params]
            yield from _rows(
                f"turns, {count} sessions, {'with' if events else 'no'} events",
                [hammer(clients, frames.__getitem__, turns, pid=pid) for _ in range(rounds)],
                alone,
            )


def _rows(what: str, outcomes: list[Outcome], alone: float) -> Iterator[Row]:
    if any(outcome.codes for outcome in outcomes):
        raise RuntimeError(f"turns failed: {outcomes[0].codes}")
    rate = statistics.median(outcome.rate for outcome in outcomes)
    best = max(outcome.rate for outcome in outcomes)
    yield Row(what=what, figure=rate, best=best, unit="1/s", baseline=alone, against="store alone")
    taken = [outcome.latencies for outcome in outcomes]
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        yield Row(what=f"{what}, {name}", figure=over_rounds(taken, share), best=best_of(taken, share))
    cpu = [outcome.cpu_us for outcome in outcomes]
    yield Row(what=f"{what}, CPU of a turn", figure=statistics.median(cpu), best=min(cpu), unit="us")


def _store_alone(callers: int, turns_each: int) -> float:
    """Turns per second of begin_turn and end_turn through the port, by so many callers."""
    rates: list[float] = []
    with folder() as root:
        filled(root, functools.partial(_measure, callers=callers, turns_each=turns_each, rates=rates))
    return rates[0]


async def _measure(store: RealmStore, *, callers: int, turns_each: int, rates: list[float]) -> None:
    async def call(session_id: str) -> None:
        for ordinal in range(turns_each):
            turn = turn_row(session_id, ordinal)
            await store.begin_turn(turn, event_seq=0)
            await store.end_turn(turn_end(turn, [message(0, 5), message(1, 5)]))

    sessions = await add_sessions(store, callers)
    begun = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for session_id in sessions:
            nursery.start_soon(call, session_id)
    rates.append(callers * turns_each / (time.perf_counter() - begun))
