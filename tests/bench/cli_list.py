"""`rkat sessions list` with a daemon running, beyond an interpreter that does nothing."""

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.fill import REALM, add_sessions, filled
from tests.bench.harness import Row, Scale, folder, instant_daemon, percentile, process_seconds

from meerkatd.store.api import RealmStore

SESSIONS = 20
GOAL_MS = 120.0
_LIST = ["sessions", "list", "--realm", REALM]


async def _fill(store: RealmStore) -> None:
    await add_sessions(store, SESSIONS)


def run(scale: Scale) -> Iterator[Row]:
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -m rkat sessions list": [sys.executable, "-m", "rkat", *_LIST],
    }
    script = Path(sys.executable).with_name("rkat")
    if script.exists():
        commands["rkat sessions list"] = [str(script), *_LIST]
    taken: dict[str, list[float]] = {name: [] for name in commands}
    with folder() as root:
        filled(root, _fill)
        with instant_daemon(root):
            for _ in range(scale.of(30, 2)):
                # In turns, so that a noisy moment hits all alike.
                for name, command in commands.items():
                    taken[name].append(process_seconds(command, root))
    bare = percentile(taken.pop("python -c pass"), 0.5) * 1000
    for name, seconds in taken.items():
        figure = percentile(seconds, 0.5) * 1000
        yield Row(
            what=f"{name}, {SESSIONS} sessions",
            figure=figure,
            baseline=bare,
            against="python -c pass",
            goal=GOAL_MS,
            judged="difference",
        )
