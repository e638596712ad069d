"""From no daemon to an initialized connection: alone, and as one of 64 processes that all find none."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.bench.harness import (
    ROOT,
    Row,
    Scale,
    end_daemon,
    environment,
    folder,
    over_rounds,
    percentile,
    process_seconds,
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
    starts = scale.of(20, 2)
    with folder() as root:
        bare, trio = (_median([sys.executable, "-c", code], root, starts) for code in ("pass", "import trio"))
        alone = [_alone(root) for _ in range(starts)]
        rounds = [_crowd(root, scale.of(CLIENTS, 4)) for _ in range(scale.of(3, 1))]
    yield Row(what="python -c pass", figure=bare)
    yield Row(what="cold start, p50", figure=percentile(alone, 0.5) * 1000, baseline=trio, against="import trio")
    yield Row(what="cold start, worst", figure=max(alone) * 1000, baseline=trio, against="import trio")
    clients = len(rounds[0])
    yield Row(what=f"cold start, {clients} clients at once, p50", figure=over_rounds(rounds, 0.5))
    yield Row(what=f"cold start, {clients} clients at once, worst", figure=max(map(max, rounds)) * 1000)


def _median(command: list[str], root: str, times: int) -> float:
    return statistics.median(process_seconds(command, root) for _ in range(times)) * 1000


def _alone(root: str) -> float:
    begun = time.perf_counter()
    with BlockingClient.connect(state_root=root, realm_id="bench", name="bench") as client:
        taken = time.perf_counter() - begun
    # Killed, so that every start finds what a crash leaves.
    end_daemon(client.info["pid"])
    return taken


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
