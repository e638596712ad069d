"""A restart in place under four clients that ask without a pause: how long the unluckiest request had to wait.

It waits for the import of the next program and little else, so the start of the same interpreter is beside it.
"""

import sys
import threading
import time
from collections.abc import Iterator

from tests.bench.harness import PATIENCE_S, Row, Scale, end_daemon, folder, percentile, process_cost

from meerkat_client import BlockingClient

CLIENTS = 4
# What nobody takes for a failure; a quiet machine needs half of it.
GOAL_MS = 1000.0


def run(scale: Scale) -> Iterator[Row]:
    restarts = scale.of(10, 1)
    with folder() as root:
        importing = [process_cost([sys.executable, "-c", "import meerkatd.app"], root).wall for _ in range(restarts)]
        with _client(root) as asking:
            pid = asking.info["pid"]
            try:
                stalls = [_stall(root, asking) for _ in range(restarts)]
            finally:
                end_daemon(pid)
    for name, share, goal in (("p50", 0.5, None), ("longest", 1.0, GOAL_MS)):
        yield Row(
            what=f"restart under {CLIENTS} clients, longest stall, {name}",
            figure=percentile(stalls, share) * 1000,
            best=min(stalls) * 1000,
            baseline=percentile(importing, share) * 1000,
            against="import meerkatd.app",
            goal=goal,
        )


def _client(root: str) -> BlockingClient:
    return BlockingClient.connect(state_root=root, realm_id="bench", name="bench")


def _stall(root: str, asking: BlockingClient) -> float:
    """Restart once; the longest that any of the clients waited for a reply, in seconds."""
    over = threading.Event()
    longest = [0.0] * CLIENTS
    failures: list[BaseException] = []

    def ask(number: int, client: BlockingClient) -> None:
        try:
            while not over.is_set():
                begun = time.perf_counter()
                client.call("session/list")
                longest[number] = max(longest[number], time.perf_counter() - begun)
        except BaseException as error:
            failures.append(error)

    clients = [_client(root) for _ in range(CLIENTS)]
    threads = [threading.Thread(target=ask, args=each) for each in enumerate(clients)]
    for thread in threads:
        thread.start()
    before = asking.call("daemon/status")["restarts"]
    asking.call("daemon/restart", {})
    until = time.monotonic() + PATIENCE_S
    while asking.call("daemon/status")["restarts"] == before and time.monotonic() < until:
        time.sleep(0.01)
    over.set()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()
    if failures:
        raise RuntimeError("a client was refused during a restart") from failures[0]
    return max(longest)
