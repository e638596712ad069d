"""Leaving when nobody needs the daemon, in two steps, so that no client is lost between "nobody is there" and the end.

First the name is set aside: whoever comes now finds nobody, starts the next daemon, and that one waits for our lock.
Then those who had connected before are looked for. If there is one, the name goes back and life goes on; else we leave.
Measured with one step only, a client needed up to three attempts.

Time is trio's, which stands still while the machine is suspended: a laptop that was closed for a night has not been
idle for a night, and finds its daemon where it was.
"""

import logging
import select
from collections.abc import Callable
from typing import NamedTuple, Protocol

import trio

from .departure import Departure
from .endpoint import Endpoint

logger = logging.getLogger(__name__)

# How often one looks, as a part of the whole: late by a tenth at most, and an idle process wakes up rarely.
_LOOKS = 10
_LONGEST_PAUSE = 60.0
# Longer than a connect() takes that had found the name before it was set aside.
QUEUE_SECONDS = 0.003


class Idleness(NamedTuple):
    """When to leave.

    Attributes:
        seconds: without a connection and without work.
        busy: whether there is work beside connections.
        rest: called once for each time that nobody is there any more, to give memory back.
    """

    seconds: float
    busy: Callable[[], bool]
    rest: Callable[[], None]


class Visitors(Protocol):
    """Who is there."""

    @property
    def connections(self) -> int: ...

    @property
    def accepted(self) -> int: ...


async def leave_when_idle(idleness: Idleness, endpoint: Endpoint, visitors: Visitors, departure: Departure) -> None:
    """Ask for the departure once nothing has needed the daemon for long enough."""
    pause = min(_LONGEST_PAUSE, idleness.seconds / _LOOKS)
    seen, since, rested = visitors.accepted, trio.current_time(), False
    while True:
        await trio.sleep(pause)
        now = trio.current_time()
        if visitors.connections or idleness.busy() or visitors.accepted != seen:
            seen, since, rested = visitors.accepted, now, False
            continue
        if not rested:
            rested = True
            idleness.rest()
        if now - since < idleness.seconds or not endpoint.may_go:
            continue
        if await _nobody_came(idleness, endpoint, visitors):
            logger.info("leaving: nobody needs this daemon", extra={"idle_seconds": round(now - since, 3)})
            departure.ask("idle")
            return
        seen, since = visitors.accepted, trio.current_time()


async def _nobody_came(idleness: Idleness, endpoint: Endpoint, visitors: Visitors) -> bool:
    before = visitors.accepted
    endpoint.set_aside()
    waiting = True
    while waiting:
        # Once more while there is one: whoever accepts has not had its turn yet.
        await trio.sleep(QUEUE_SECONDS)
        waiting = bool(select.select(endpoint.sockets, (), (), 0)[0])
    if visitors.accepted == before and not idleness.busy():
        return True
    endpoint.put_back()
    return False
