"""What was used, for people: the store's sums, put together by session, realm, model or day."""

from collections.abc import Mapping, Sequence
from typing import Literal

from ..contract.usage import UsageLine
from ..store.api import UsageRow, UsageTotals
from . import views
from .cost import cost_of_usage

Sums = Sequence[UsageRow]
By = Literal["session", "realm", "model", "day"]


def lines(rows: Mapping[str, Sequence[UsageRow]], by: By) -> list[UsageLine]:
    """A line for each session, realm, model or day.

    Args:
        rows: the sums of each realm, by its id.
    """
    groups: dict[tuple[str, str], list[UsageRow]] = {}
    for realm_id, of_realm in rows.items():
        for row in of_realm:
            # The same session's id is in one realm alone; models and days are those of all of them.
            home = realm_id if by == "session" else ""
            groups.setdefault((_key(row, by, realm_id), home), []).append(row)
    # Turns that ended before any call have used time, and nothing that anybody pays.
    used = {place: group for place, group in groups.items() if any(row.calls or row.tool_calls for row in group)}
    found = [_line(key, group, realm_id=home) for (key, home), group in used.items()]
    if by == "day":
        return sorted(found, key=lambda line: line["key"])
    return sorted(found, key=_expense, reverse=True)


def total(rows: Mapping[str, Sequence[UsageRow]]) -> UsageLine:
    """All of it in one line."""
    return _line("total", [row for of_realm in rows.values() for row in of_realm])


def _key(row: UsageRow, by: By, realm_id: str) -> str:
    match by:
        case "session":
            return row.session_id
        case "realm":
            return realm_id
        case "model":
            return row.model
        case "day":
            return row.day


def _line(key: str, rows: Sequence[UsageRow], *, realm_id: str = "") -> UsageLine:
    line: UsageLine = {
        "key": key,
        "calls": sum(row.calls for row in rows),
        "estimated_calls": sum(row.estimated for row in rows),
        "tool_calls": sum(row.tool_calls for row in rows),
        "duration_ms": sum(row.time_ms for row in rows),
        "usage": views.usage(sum((row.usage for row in rows), UsageTotals())),
    }
    if realm_id:
        line["realm_id"] = realm_id
    cost = cost_of_usage(rows)
    if cost is not None:
        line["cost"] = cost
    return line


def _expense(line: UsageLine) -> tuple[float, int, str]:
    return line["cost"]["usd"] if "cost" in line else 0.0, line["usage"]["total_tokens"], line["key"]
