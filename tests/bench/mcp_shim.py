"""One `rkat-mcp`: from its start to the answer of `initialize`, and to that of a first tool; and its memory.

Beside it a bare interpreter that imports the SDK's server: nearly all of the cost is that. The daemon runs before.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
from tests.bench.harness import ROOT, Row, Scale, environment, folder, instant_daemon

# Beside the SDK alone: what we add to it is to stay small.
GOAL_RATIO = 1.5
_MIB = 1024 * 1024
_SHIM = "import sys; from rkat_shims.mcp.__main__ import main; sys.exit(main())"
_BARE = "import mcp.server; print('{}', flush=True); input()"
_HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
_LINES = (
    {"id": 1, "method": "initialize", "params": _HELLO},
    {"method": "notifications/initialized"},
    {"id": 2, "method": "tools/call", "params": {"name": "meerkat_sessions", "arguments": {}}},
)


def run(scale: Scale) -> Iterator[Row]:
    with folder() as root, instant_daemon(root):
        rounds = [(_measured(_SHIM, root, 2), _measured(_BARE, root, 1)) for _ in range(scale.of(5, 1))]
    for place, what, unit in (
        (0, "rkat-mcp, from start until initialize is answered", "ms"),
        (1, "until a first tool is answered", "ms"),
        (2, "its memory, PSS", "MiB"),
    ):
        ours, bare = (statistics.median(each[program][place] for each in rounds) for program in (0, 1))
        yield Row(what=what, figure=ours, unit=unit, baseline=bare, against="the SDK", goal=GOAL_RATIO, judged="ratio")


def _measured(program: str, root: str, answers: int) -> tuple[float, float, float]:
    """Milliseconds until the first and the last of its answers, and MiB."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(root),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        if program is _SHIM:
            for line in _LINES:
                process.stdin.write(json.dumps({"jsonrpc": "2.0", **line}).encode() + b"\n")
            process.stdin.flush()
        at = []
        for _ in range(answers):
            if not process.stdout.readline():
                raise RuntimeError("it ended without an answer")
            at.append((time.perf_counter() - begun) * 1000)
        found = psutil.Process(process.pid).memory_full_info()
        return at[0], at[-1], getattr(found, "pss", found.rss) / _MIB
    finally:
        process.kill()
        process.communicate()
