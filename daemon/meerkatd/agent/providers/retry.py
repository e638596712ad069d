"""When to try again and how long to wait: frozen values and pure arithmetic. No I/O, no clock.

Exponential back-off with jitter: initial x multiplier^(attempt-1), plus or minus `jitter`, at most `max_delay`. A
provider that says how long to wait is believed, unless it asks for longer than a person would sit through.
"""

import email.utils
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how soon a failed call is repeated. Times are seconds.

    Attributes:
        max_retries: attempts after the first one.
        jitter: share of the delay by which it is moved at random, so that many clients do not come back in step.
        max_server_delay: a longer wait than this, asked for by the provider, is told to the caller instead.
    """

    max_retries: int = 3
    initial_delay: float = 0.5
    multiplier: float = 2.0
    jitter: float = 0.1
    max_delay: float = 30.0
    max_server_delay: float = 60.0

    def delay(
        self, attempt: int, *, retry_after: float | None, draw: Callable[[], float] = random.random
    ) -> float | None:
        """Seconds to wait after failed attempt number `attempt` (from 1); None when trying again is of no use.

        `draw` gives a number in [0, 1); tests hand in their own.
        """
        if attempt > self.max_retries:
            return None
        if retry_after is not None:
            return retry_after if retry_after <= self.max_server_delay else None
        base = min(self.initial_delay * self.multiplier ** (attempt - 1), self.max_delay)
        return float(base * (1 + self.jitter * (2 * draw() - 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Limits of one attempt, in seconds; None means none.

    Attributes:
        connect: name look-up, TCP and TLS together.
        write: the peer takes nothing of our request for this long.
        idle: no byte arrives for this long, before or within the answer. A provider's keep-alive counts as a byte.
        call: the whole attempt, from connecting to the last byte.
    """

    connect: float = 10.0
    write: float = 30.0
    idle: float = 300.0
    call: float | None = None


def retry_after_seconds(headers: Mapping[str, str], *, now: float) -> float | None:
    """The wait that an answer's headers ask for, in seconds; `now` is Unix time, for the form that names a date.

    `retry-after-ms` wins over `retry-after`, which is seconds or an HTTP date (RFC 9110, 10.2.3). Nonsense is None.
    """
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            value = float(headers[name]) * scale
        except (KeyError, ValueError):
            continue
        if math.isfinite(value) and value >= 0:
            return value
    try:
        when = email.utils.parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return max(0.0, when.timestamp() - now)
