"""The service manager's watchdog: told that all is well only when it is.

That this task runs proves the event loop. Every store that is at work has to carry out a job that does nothing, in its
turn, behind what it is doing: a worker whose thread or disk hangs keeps the word from being sent, and the manager ends
the process with a dump of all threads and starts another one. A store that rests is not woken up.
"""

from collections.abc import Awaitable, Callable

import trio

from .supervisor import Supervisor

# As sd_watchdog_enabled(3) advises.
_SHARE = 0.5


async def feed_watchdog(supervisor: Supervisor, prove: Callable[[], Awaitable[None]]) -> None:
    """Send the word in time, for ever; returns at once when nobody waits for it.

    Args:
        prove: returns when everything that works does work; hangs when something hangs.
    """
    if supervisor.watchdog_seconds is None:
        return
    while True:
        await prove()
        supervisor.alive()
        await trio.sleep(supervisor.watchdog_seconds * _SHARE)
