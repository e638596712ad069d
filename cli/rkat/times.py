"""Times for people."""

import time


def ago(seconds: float, *, now: float | None = None) -> str:
    """How long ago a moment (Unix seconds) was, in the largest unit that says something."""
    passed = max(0, int((now if now is not None else time.time()) - seconds))
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (30 * 86400, 86400, "d")):
        if passed < limit:
            return f"{passed // unit} {name} ago"
    return time.strftime("%Y-%m-%d", time.localtime(seconds))


def clock(seconds: float) -> str:
    """A moment (Unix seconds) in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def moment(rfc3339: str) -> str:
    """A moment as RFC 3339 text in local time; text that is none comes back as it is."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(rfc3339).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return rfc3339


def duration(seconds: float) -> str:
    """A length of time in its two largest units."""
    whole = int(seconds)
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    parts: list[str] = []
    for unit, name in units:
        count, whole = divmod(whole, unit)
        if count or (unit == 1 and not parts):
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])
