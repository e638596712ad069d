"""`rkat sessions list` with a daemon running, beyond an interpreter that does nothing."""

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.fill import REALM, add_sessions, filled
from tests.bench.harness import Cost, Row, Scale, folder, instant_daemon, percentile, process_cost

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
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    with folder() as root:
        filled(root, _fill)
        with instant_daemon(root):
            for _ in range(scale.of(30, 2)):
                # In turns, so that a noisy moment hits all alike.
                for name, command in commands.items():
                    costs[name].append(process_cost(command, root))
    bare = costs.pop("python -c pass")
    for name, cost in costs.items():
        yield _row(f"{name}, {SESSIONS} sessions", [each.wall for each in cost], [each.wall for each in bare])
        yield _row(f"{name}, CPU of the process", [each.cpu for each in cost], [each.cpu for each in bare])


def _row(what: str, taken: list[float], bare: list[float]) -> Row:
    return Row(
        what=what,
        figure=percentile(taken, 0.5) * 1000,
        best=min(taken) * 1000,
        baseline=percentile(bare, 0.5) * 1000,
        against="python -c pass",
        goal=GOAL_MS,
        judged="difference",
    )
