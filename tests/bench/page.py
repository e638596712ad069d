"""A page of 50 messages out of a million, wherever it lies."""

from collections.abc import Iterator

from tests.bench.fill import REALM, add_session, filled
from tests.bench.harness import Row, Scale, folder, instant_daemon, over_rounds, timed
from tests.bench.load import daemon_lines

from meerkatd.store.api import RealmStore

PAGE = 50
GOAL_MS = 2.0


def run(scale: Scale) -> Iterator[Row]:
    messages = scale.of(1_000_000, 1000)
    ids: list[str] = []

    async def fill(store: RealmStore) -> None:
        ids.append(await add_session(store, messages))

    with folder() as root:
        filled(root, fill)
        with instant_daemon(root), daemon_lines(root, REALM, 1) as (line,):
            for offset in (0, messages // 2, messages - PAGE):
                params = {"session_id": ids[0], "offset": offset, "limit": PAGE}
                assert len(line.call("session/history", params)["messages"]) == PAGE
                rounds = [
                    timed(lambda: line.call("session/history", params), scale.of(500, 5))  # noqa: B023
                    for _ in range(scale.of(5, 1))
                ]
                what = f"page of {PAGE} at {offset} of {messages}"
                yield Row(what=f"{what}, p50", figure=over_rounds(rounds, 0.5))
                yield Row(what=f"{what}, p99", figure=over_rounds(rounds, 0.99), goal=GOAL_MS)
