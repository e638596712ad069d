"""Waiting for processes that are not the test's own children, so that nobody else tells of their end."""

import os
import time

import psutil
import trio

# Nothing here takes long; whoever waits longer waits for ever.
PATIENCE_SECONDS = 20.0
_LOOK_AGAIN_SECONDS = 0.01


def alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_gone(pid: int, *, within: float = PATIENCE_SECONDS) -> None:
    """Wait until a process has ended."""
    until = time.monotonic() + within
    while alive(pid):
        assert time.monotonic() < until, f"the process {pid} still runs after {within:g} seconds"
        time.sleep(_LOOK_AGAIN_SECONDS)


async def gone(pid: int, *, within: float = PATIENCE_SECONDS) -> None:
    """`wait_gone` beside others."""
    await trio.to_thread.run_sync(lambda: wait_gone(pid, within=within))


def read_fifo(path: str) -> str:
    """What the next writer of a FIFO writes, up to its end."""
    with open(path) as file:
        return file.read()


async def told(path: object) -> str:
    """What a process writes into the FIFO at `path`, which is made before it is started."""
    with trio.fail_after(PATIENCE_SECONDS):
        return await trio.to_thread.run_sync(read_fifo, os.fspath(path), abandon_on_cancel=True)  # type: ignore[call-overload]
