"""Turns beside a backup: how much longer one takes while a large realm is being copied, read back and compared."""

import os
import threading
from collections.abc import Iterator

from tests.bench.fill import REALM, add_session, filled
from tests.bench.harness import Row, Scale, best_of, folder, instant_daemon, over_rounds, timed
from tests.bench.load import Line, daemon_lines

from meerkatd.store.api import RealmStore

# Beyond what the same turn takes alone. The daemon reads back what it copied in the same process, so turns share the
# interpreter with it; a person does not feel this.
GOALS_MS = ((0.5, "p50", 50.0), (0.99, "p99", 100.0))
_BODY_BYTES = 500


def run(scale: Scale) -> Iterator[Row]:
    count = scale.of(200_000, 2000)

    async def fill(store: RealmStore) -> None:
        await add_session(store, count, text_bytes=_BODY_BYTES)

    with folder() as root:
        filled(root, fill)
        with instant_daemon(root), daemon_lines(root, REALM, 2) as (line, other):
            session_id = line.call("session/create", {"prompt": "hi"})["session_id"]
            turn = {"session_id": session_id, "prompt": "hi"}
            alone = timed(lambda: line.call("turn/start", turn), scale.of(200, 5))
            beside, taken = _beside(line, other, turn, os.path.join(root, "copy"))
    for share, name, goal in GOALS_MS:
        yield Row(
            what=f"turn beside a backup of {count} messages, {name}",
            figure=over_rounds([beside], share),
            best=best_of([beside], share),
            baseline=over_rounds([alone], share),
            against="alone",
            goal=goal,
            judged="difference",
        )
    yield Row(what=f"backup of {count} messages beside turns", figure=taken * 1000)


def _beside(line: Line, other: Line, turn: dict[str, str], path: str) -> tuple[list[float], float]:
    """Seconds of each turn while a backup was taken, and of the backup."""
    taken: list[float] = []
    backup = threading.Thread(target=lambda: taken.extend(timed(lambda: other.call("realm/backup", {"path": path}), 1)))
    backup.start()
    turns = timed(lambda: line.call("turn/start", turn), 1)
    while backup.is_alive():
        turns += timed(lambda: line.call("turn/start", turn), 1)
    backup.join()
    return turns, taken[0]
