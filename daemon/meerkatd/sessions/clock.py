"""The wall clock, in the two forms in which the contract shows it. Injected, so that tests can stand still."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def boot_seconds() -> float:
    """Seconds since some moment in the past, which also count while the machine sleeps; no clock that is set."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def rfc3339(at_ms: int) -> str:
    """Unix milliseconds as RFC 3339 text in UTC with milliseconds, e.g. 2026-01-02T03:04:05.678Z."""
    moment = datetime.fromtimestamp(at_ms / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
