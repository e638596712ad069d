"""Memory of the daemon as users have it, before its first call of a provider.

Measured after a client has connected, has listed sessions, and what a first turn needs has been loaded meanwhile, which
is the larger part. RSS counts pages of shared libraries whole, PSS in equal shares of those who map them.
"""

import time
from collections.abc import Iterator

import psutil
from tests.bench.harness import Row, Scale, end_daemon, folder

from meerkat_client import BlockingClient

MIB = 1024 * 1024
GOAL_MIB = 60.0
# Memory that has not grown for this long is taken for idle.
_QUIET_SECONDS = 1.0


def run(scale: Scale) -> Iterator[Row]:
    with folder() as root, BlockingClient.connect(state_root=root, realm_id="bench", name="bench") as client:
        pid = client.info["pid"]
        try:
            client.call("session/list")
            process = psutil.Process(pid)
            at_once = process.memory_full_info()
            idle = _settled(process, quiet=0.2 if scale.quick else _QUIET_SECONDS)
        finally:
            end_daemon(pid)
    yield Row(what="memory after session/list, RSS", figure=at_once.rss / MIB, unit="MiB")
    yield Row(what="memory, idle, RSS", figure=idle.rss / MIB, unit="MiB", goal=GOAL_MIB)
    # macOS does not tell it.
    if (pss := getattr(idle, "pss", None)) is not None:
        yield Row(what="memory, idle, PSS", figure=pss / MIB, unit="MiB", goal=GOAL_MIB)


def _settled(process: psutil.Process, *, quiet: float):  # type: ignore[no-untyped-def]
    """Memory once the process has used no CPU for `quiet` seconds."""
    while True:
        before = sum(process.cpu_times()[:2])
        time.sleep(quiet)
        if sum(process.cpu_times()[:2]) - before < 0.02:
            return process.memory_full_info()
