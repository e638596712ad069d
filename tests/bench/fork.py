"""Forking a session of a million messages against one of ten: it costs the same, in time and on the disk."""

from collections.abc import Iterator

from tests.bench.fill import REALM, add_session, filled
from tests.bench.harness import Row, Scale, best_of, folder, instant_daemon, over_rounds, timed
from tests.bench.load import Line, daemon_lines

from meerkatd.store.api import RealmStore

SHORT = 10
GOAL_RATIO = 1.5


def run(scale: Scale) -> Iterator[Row]:
    count = scale.of(1_000_000, 2000)
    ids: list[str] = []

    async def fill(store: RealmStore) -> None:
        ids.extend([await add_session(store, messages) for messages in (SHORT, count)])

    with folder() as root:
        filled(root, fill)
        with instant_daemon(root), daemon_lines(root, REALM, 1) as (line,):
            before = _bytes(line)
            rounds = [
                [
                    _forks(line, session, messages, scale.of(40, 3))
                    for session, messages in zip(ids, (SHORT, count), strict=True)
                ]
                for _ in range(scale.of(7, 1))
            ]
            grown = (_bytes(line) - before) / sum(len(taken) for each in rounds for taken in each) / 1024
    short, long = zip(*rounds, strict=True)
    yield Row(
        what=f"fork of {count} messages, p50",
        figure=over_rounds(long, 0.5),
        best=best_of(long, 0.5),
        baseline=over_rounds(short, 0.5),
        against=f"of {SHORT}",
        goal=GOAL_RATIO,
        judged="ratio",
    )
    yield Row(what="disk for one fork", figure=grown, unit="KiB", goal=8)


def _forks(line: Line, session: str, messages: int, times: int) -> list[float]:
    params = {"session_id": session, "message_index": messages}
    return timed(lambda: line.call("session/fork_at", params), times)


def _bytes(line: Line) -> int:
    size: int = line.call("realm/show", {"realm_id": REALM})["bytes_on_disk"]
    return size
