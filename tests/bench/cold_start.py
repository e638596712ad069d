"""From no daemon to an initialized connection: alone, and as one of 64 processes that all find none."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.bench.harness import (
    ROOT,
    Cost,
    Row,
    Scale,
    best_of,
    cpu_seconds,
    end_daemon,
    environment,
    folder,
    over_rounds,
    percentile,
    process_cost,
)

from meerkat_client import BlockingClient

CLIENTS = 64
# What the client's process does; its own start is not counted.
_CLIENT = """
import json, time
from meerkat_client import BlockingClient
begun = time.perf_counter()
with BlockingClient.connect(realm_id="bench", name="bench") as client:
    print(json.dumps([client.info["pid"], time.perf_counter() - begun]))
"""


def run(scale: Scale) -> Iterator[Row]:
    starts, clients = scale.of(20, 2), scale.of(CLIENTS, 4)
    with folder() as root:
        trio = [process_cost([sys.executable, "-c", "import trio"], root) for _ in range(starts)]
        alone = [_alone(root) for _ in range(starts)]
        rounds = [_crowd(root, clients) for _ in range(scale.of(3, 1))]
    yield _row("cold start, p50", [cost.wall for cost in alone], [cost.wall for cost in trio])
    yield _row("cold start, the daemon's CPU", [cost.cpu for cost in alone], [cost.cpu for cost in trio])
    yield Row(what="cold start, worst", figure=max(cost.wall for cost in alone) * 1000)
    for name, share in (("p50", 0.5), ("worst", 1.0)):
        yield Row(
            what=f"cold start, {clients} clients at once, {name}",
            figure=over_rounds(rounds, share),
            best=best_of(rounds, share),
        )


def _row(what: str, taken: list[float], trio: list[float]) -> Row:
    return Row(
        what=what,
        figure=percentile(taken, 0.5) * 1000,
        best=min(taken) * 1000,
        baseline=percentile(trio, 0.5) * 1000,
        against="import trio",
    )


def _alone(root: str) -> Cost:
    """Seconds that a client waits, and the CPU that the daemon had used by then."""
    begun = time.perf_counter()
    with BlockingClient.connect(state_root=root, realm_id="bench", name="bench") as client:
        taken = time.perf_counter() - begun
    pid = client.info["pid"]
    cost = Cost(taken, cpu_seconds(pid))
    # Killed, so that every start finds what a crash leaves.
    end_daemon(pid)
    return cost


def _crowd(root: str, clients: int) -> list[float]:
    """Seconds that each of so many clients waited. All must have found the same daemon."""
    command = [sys.executable, "-c", _CLIENT]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=environment(root), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        for _ in range(clients)
    ]
    told = [json.loads(process.communicate()[0]) for process in processes]
    daemons = {pid for pid, _ in told}
    for pid in daemons:
        end_daemon(pid)
    if len(daemons) != 1:
        raise RuntimeError(f"{len(daemons)} daemons were started: {sorted(daemons)}, by {os.getpid()}")
    return [taken for _, taken in told]
