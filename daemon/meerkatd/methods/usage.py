"""Usage: what was used and what it cost."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ..agent.prices import listed_as_of
from ..contract.usage import UsageLine, UsageProblem, UsageRead, UsageReport
from ..errors import MeerkatError
from ..ids import RealmId, SessionId
from ..protocol.port import Call
from ..realms.realm import Realm
from ..sessions import usage_report
from ..sessions.usage_report import Sums
from .context import Context


async def read(context: Context, params: UsageRead, call: Call) -> UsageReport:
    rows: dict[str, Sums] = {}
    problems: list[UsageProblem] = []
    if not params.all_realms:
        rows[context.realm.realm_id] = await _rows(context.realm, params)
    for realm_id in await _all_realms(context) if params.all_realms else ():
        realm = context.services.registry.existing(realm_id)
        with context.services.registry.using(realm):
            try:
                rows[realm_id] = await _rows(realm, params)
            except MeerkatError as error:
                # The other realms' sums are still of use.
                problems.append({"realm_id": realm_id, "message": error.message})
    lines = usage_report.lines(rows, params.by)
    shown = lines[-params.limit :] if params.by == "day" else lines[: params.limit]
    if params.by == "session":
        await _add_titles(context, shown)
    return {
        "by": params.by,
        "rows": shown,
        "total": usage_report.total(rows),
        "omitted": len(lines) - len(shown),
        "problems": problems,
        "prices_as_of": listed_as_of(),
    }


async def _all_realms(context: Context) -> list[RealmId]:
    return [RealmId(info["realm_id"]) for info in await context.services.registry.list() if info["exists"]]


async def _rows(realm: Realm, params: UsageRead) -> Sums:
    session_id = None if params.session_id is None else await realm.sessions.resolve(params.session_id)
    until = None if params.until is None else _midnight(params.until, days=1)
    since = None if params.since is None else _midnight(params.since)
    return await realm.sessions.usage(since_ms=since, until_ms=until, session_id=session_id)


async def _add_titles(context: Context, lines: Sequence[UsageLine]) -> None:
    for line in lines:
        realm = context.services.registry.existing(RealmId(line["realm_id"]))
        with context.services.registry.using(realm):
            title = await realm.sessions.title(SessionId(line["key"]))
        if title:
            line["title"] = title


def _midnight(day: str, *, days: int = 0) -> int:
    """Unix milliseconds at which a day of UTC begins."""
    at = datetime.fromisoformat(day).replace(tzinfo=UTC)
    # The last day of all has none after it.
    at = min(at, datetime.max.replace(tzinfo=UTC) - timedelta(days=1)) + timedelta(days=days)
    return round(at.timestamp() * 1000)
