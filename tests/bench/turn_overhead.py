"""What a turn costs beside its model, in a short session and in one of 100,000 messages.

Warm: the transcript is in memory, as it is between the turns of a conversation. The two sessions are taken in turns, a
round of each, and each round's first turn is told apart, because it may have to read the transcript again.
"""

import statistics
from collections.abc import Iterator

from tests.bench.fill import REALM, add_session, filled
from tests.bench.harness import Row, Scale, best_of, folder, instant_daemon, over_rounds, timed
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
        with instant_daemon(root), daemon_lines(root, REALM, 1) as (line,):
            rounds = [[_turns(line, session, scale.of(60, 3)) for session in ids] for _ in range(scale.of(9, 2))]
    short_warm, long_warm = ([each[place][1:] for each in rounds] for place in (0, 1))
    short_first, long_first = (statistics.median(each[place][0] for each in rounds) * 1000 for place in (0, 1))
    for name, share, goal in (("p50", 0.5, GOAL_RATIO), ("p99", 0.99, None)):
        yield Row(
            what=f"turn at {long} messages, warm, {name}",
            figure=over_rounds(long_warm, share),
            best=best_of(long_warm, share),
            baseline=over_rounds(short_warm, share),
            against=f"at {SHORT} messages",
            goal=goal,
            judged="ratio",
        )
    yield Row(
        what=f"turn at {long} messages, after another session",
        figure=long_first,
        baseline=short_first,
        against=f"at {SHORT} messages",
    )


def _turns(line: Line, session: str, times: int) -> list[float]:
    return timed(lambda: line.call("turn/start", {"session_id": session, "prompt": "go on"}), times)
