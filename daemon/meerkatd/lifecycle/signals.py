"""Signals: the first SIGTERM or SIGINT asks the daemon to drain, a second one ends it at once; SIGHUP does nothing.

SIGHUP is received and dropped, and not set to be ignored: an ignored signal would be inherited by every program that a
tool starts.
"""

import logging
import signal
from collections.abc import Callable

import trio

logger = logging.getLogger(__name__)


async def watch_signals(
    stopping: trio.Event,
    at_once: Callable[[], object],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Set `stopping` on the first request to stop, call `at_once` on the second; runs until cancelled.

    To be started with `nursery.start`, so that no signal arrives before it is awaited.
    """
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
        task_status.started()
        async for number in received:
            if number == signal.SIGHUP:
                continue
            name = signal.Signals(number).name
            if stopping.is_set():
                logger.warning("stopping at once", extra={"signal": name})
                at_once()
                continue
            logger.info("draining", extra={"signal": name})
            stopping.set()
