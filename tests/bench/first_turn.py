"""`rkat run` with no daemon running, against a model's server that answers at once: all that is ours of a first answer.

The whole process's time, minus the time that the server measured of itself. Beneath are its parts, each measured
alone, so that a slow one shows; they overlap, since the daemon loads the provider's library while the client is asking.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from tests.bench.harness import Row, Scale, end_daemon, folder, process_cost
from tests.bench.provider_server import ProviderServer, provider_server

from meerkat_client import BlockingClient

GOAL_MS = 1500.0
MODEL = "gpt-5"
_IMPORT = """
import time, meerkatd.app
begun = time.perf_counter()
from meerkatd.agent.providers.http import tls_context
tls_context()
print(time.perf_counter() - begun)
"""


def run(scale: Scale) -> Iterator[Row]:
    times = scale.of(10, 1)
    with folder() as root, provider_server() as server:
        cold = _median(lambda: _cold(root, server), times)
        with _daemon(root) as client:
            try:
                _ours(root, server)
                warm = _median(lambda: _ours(root, server), times)
                turn = _median(lambda: _turn(client, server), times)
            finally:
                end_daemon(client.info["pid"])
        yield Row(what="rkat run, no daemon running", figure=cold, baseline=warm, against="warm", goal=GOAL_MS)
        yield Row(what="rkat run, warm", figure=warm)
        for name, arguments in (("python -c pass", ["-c", "pass"]), ("rkat --version", ["-m", "rkat", "--version"])):
            costs = [process_cost([sys.executable, *arguments], root).wall for _ in range(times)]
            yield Row(what=f"part: {name}", figure=statistics.median(costs) * 1000, best=min(costs) * 1000)
        yield Row(what="part: daemon start, to initialize", figure=_median(lambda: _start(root), times))
        yield Row(what="part: import of the provider's library", figure=_median(_import, times))
        yield Row(what="part: session/create on a warm connection", figure=turn)


def _median(seconds: Callable[[], float], times: int) -> float:
    return statistics.median(seconds() for _ in range(times)) * 1000


def _daemon(root: str) -> BlockingClient:
    return BlockingClient.connect(state_root=root, realm_id="bench", name="bench")


def _ours(root: str, server: ProviderServer) -> float:
    """Seconds of `rkat run` that were not the server's."""
    answers, seconds = server.answers, server.seconds
    command = [sys.executable, "-m", "rkat", "run", "--realm", "bench", "--model", MODEL, "hello"]
    taken = process_cost(command, root, OPENAI_API_KEY="none", OPENAI_BASE_URL=server.base_url).wall
    if server.answers != answers + 1:
        raise RuntimeError(f"the model was asked {server.answers - answers} times")
    return taken - (server.seconds - seconds)


def _cold(root: str, server: ProviderServer) -> float:
    taken = _ours(root, server)
    with _daemon(root) as client:
        end_daemon(client.info["pid"])
    return taken


def _start(root: str) -> float:
    begun = time.perf_counter()
    with _daemon(root) as client:
        taken = time.perf_counter() - begun
    end_daemon(client.info["pid"])
    return taken


def _import() -> float:
    return float(subprocess.run([sys.executable, "-c", _IMPORT], check=True, capture_output=True).stdout)


def _turn(client: BlockingClient, server: ProviderServer) -> float:
    seconds = server.seconds
    credentials = {"openai": {"api_key": "none", "base_url": server.base_url}}
    with BlockingClient.connect(
        state_root=client.info["state_root"], realm_id="bench", name="bench", credentials=credentials
    ) as caller:
        begun = time.perf_counter()
        caller.call("session/create", {"prompt": "hello", "model": MODEL})
        return time.perf_counter() - begun - (server.seconds - seconds)
