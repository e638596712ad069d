"""The newest 50 of 100,000 sessions."""

from collections.abc import Iterator

from tests.bench.fill import REALM, add_sessions, filled
from tests.bench.harness import Row, Scale, best_of, folder, instant_daemon, over_rounds, timed
from tests.bench.load import daemon_lines

from meerkatd.store.api import RealmStore

PAGE = 50
GOAL_MS = 2.0


def run(scale: Scale) -> Iterator[Row]:
    count = scale.of(100_000, 100)
    ids: list[str] = []

    async def fill(store: RealmStore) -> None:
        ids.extend(await add_sessions(store, count))

    with folder() as root:
        filled(root, fill)
        with instant_daemon(root), daemon_lines(root, REALM, 1) as (line,):
            shown = [row["session_id"] for row in line.call("session/list", {"limit": PAGE})["sessions"]]
            assert shown == ids[: -PAGE - 1 : -1]
            rounds = [
                timed(lambda: line.call("session/list", {"limit": PAGE}), scale.of(400, 5))
                for _ in range(scale.of(9, 1))
            ]
    for name, share, goal in (("p50", 0.5, None), ("p99", 0.99, GOAL_MS)):
        yield Row(
            what=f"newest {PAGE} of {count} sessions, {name}",
            figure=over_rounds(rounds, share),
            best=best_of(rounds, share),
            goal=goal,
        )
