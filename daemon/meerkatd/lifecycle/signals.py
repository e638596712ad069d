"""Signals: the first SIGTERM or SIGINT asks the daemon to drain, a second one waits for no turn any longer, a third one
ends it at once; SIGHUP does nothing.

SIGHUP is received and dropped, and not set to be ignored: an ignored signal would be inherited by every program that a
tool starts.
"""

import logging
import signal
from collections.abc import Callable

import trio

from .departure import Departure

logger = logging.getLogger(__name__)


async def watch_signals(
    departure: Departure,
    at_once: Callable[[], object],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Ask for a stop on the first request, hurry on the second, call `at_once` on the third; runs until cancelled.

    To be started with `nursery.start`, so that no signal arrives before it is awaited.
    """
    count = 0
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
        task_status.started()
        async for number in received:
            if number == signal.SIGHUP:
                continue
            count += 1
            extra = {"signal": signal.Signals(number).name}
            if count == 1:
                logger.info("draining", extra=extra)
                departure.ask("stop")
            elif count == 2:
                logger.warning("interrupting what still runs", extra=extra)
                departure.hurry()
            else:
                logger.warning("stopping at once", extra=extra)
                at_once()
