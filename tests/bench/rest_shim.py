"""One `rkat-rest`: from its start to its address, and to the answer of a first request; its memory; a request's time.

Beside it a bare interpreter that imports FastAPI and Hypercorn: most of the cost is that. The daemon runs before.
"""

import http.client
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
from tests.bench.harness import ROOT, Row, Scale, environment, folder, instant_daemon

# Beside the frameworks alone: what we add is the contract's shapes and a client.
GOAL_RATIO = 1.5
# What it took elsewhere before it was built was 51 MiB.
GOAL_MIB = 60.0
_MIB = 1024 * 1024
_SHIM = (
    "import sys; from rkat_shims.rest.__main__ import main; "
    "sys.exit(main(['--realm', 'bench', '--port', '0', '--token-file', sys.argv[1]]))"
)
_BARE = "import fastapi, hypercorn.trio; print('{}', flush=True); input()"


def run(scale: Scale) -> Iterator[Row]:
    requests = scale.of(300, 5)
    with folder() as root, instant_daemon(root):
        rounds = [(_shim(root, requests), _bare(root)) for _ in range(scale.of(5, 1))]
    shims, bares = ([each[place] for each in rounds] for place in (0, 1))
    for place, what, unit, goal, judged in (
        (0, "rkat-rest, from start until it says its address", "ms", GOAL_RATIO, "ratio"),
        (1, "its memory, PSS", "MiB", GOAL_MIB, "figure"),
    ):
        figure, bare = (statistics.median(each[place] for each in measured) for measured in (shims, bares))
        yield Row(
            what=what,
            figure=figure,
            unit=unit,
            best=min(each[place] for each in shims),
            baseline=bare,
            against="the frameworks",
            goal=goal,
            judged=judged,
        )
    times = [each[2] for each in shims]
    yield Row(what="GET /realm over one connection, p50", figure=statistics.median(times), unit="ms", best=min(times))


def _shim(root: str, requests: int) -> tuple[float, float, float]:
    """Milliseconds until the address, MiB, and milliseconds for one request."""
    token = os.path.join(root, "token")
    begun = time.perf_counter()
    process = _started(_SHIM, token, root)
    try:
        address = _line(process)
        started = (time.perf_counter() - begun) * 1000
        with open(f"{token}.header", encoding="ascii") as file:
            name, _, value = file.read().strip().partition(": ")
        connection = http.client.HTTPConnection(address.removeprefix("http://"))
        times = []
        for _ in range(requests):
            asked = time.perf_counter()
            connection.request("GET", "/realm", headers={name: value})
            if connection.getresponse().read() and connection.sock is None:
                raise RuntimeError("the connection was not kept")
            times.append((time.perf_counter() - asked) * 1000)
        return started, _memory(process.pid), statistics.median(times)
    finally:
        process.kill()
        process.communicate()


def _bare(root: str) -> tuple[float, float]:
    begun = time.perf_counter()
    process = _started(_BARE, "", root)
    try:
        _line(process)
        return (time.perf_counter() - begun) * 1000, _memory(process.pid)
    finally:
        process.kill()
        process.communicate()


def _started(program: str, argument: str, root: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program, argument],
        cwd=ROOT,
        env=environment(root),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("it ended without a word")
    return line.decode().strip()


def _memory(pid: int) -> float:
    found = psutil.Process(pid).memory_full_info()
    return float(getattr(found, "pss", found.rss)) / _MIB
