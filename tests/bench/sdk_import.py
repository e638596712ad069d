"""What importing the Python client costs a program, beyond an interpreter that does nothing."""

import sys
from collections.abc import Iterator

from tests.bench.harness import Cost, Row, Scale, folder, percentile, process_cost

GOAL_MS = 50.0
_IMPORTS = {
    "import meerkat_client": "import meerkat_client",
    "and the blocking client": "from meerkat_client.blocking import MeerkatClient",
}


def run(scale: Scale) -> Iterator[Row]:
    commands = {"pass": [sys.executable, "-c", "pass"]}
    commands |= {name: [sys.executable, "-c", code] for name, code in _IMPORTS.items()}
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    with folder() as root:
        for _ in range(scale.of(30, 2)):
            # In turns, so that a noisy moment hits all alike.
            for name, command in commands.items():
                costs[name].append(process_cost(command, root))
    bare = [each.wall for each in costs.pop("pass")]
    for name, cost in costs.items():
        walls = [each.wall for each in cost]
        # What is used of it comes on top, and is told without a goal: half of it are the classes of events.
        yield Row(
            what=name,
            figure=percentile(walls, 0.5) * 1000,
            best=min(walls) * 1000,
            baseline=percentile(bare, 0.5) * 1000,
            against="python -c pass",
            goal=GOAL_MS if name == "import meerkat_client" else None,
            judged="difference",
        )
