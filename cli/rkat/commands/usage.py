"""`rkat usage`: tokens and money, by day, session, model or realm, as a table with bars."""

import re
from typing import Annotated, Any, Literal

import typer

from meerkat_client.errors import RkatError

from .. import bars, budgets, output, table
from ..connection import connect
from ..options import Options
from ..references import short_all
from ..times import duration
from ..tree import BRANCH, Leaf

app = typer.Typer(**BRANCH)

_DAYS_AGO = re.compile(r"([0-9]{1,4})d")
_HEADINGS = {"day": "DAY", "session": "SESSION", "model": "MODEL", "realm": "REALM"}


@app.command(cls=Leaf)
def usage(
    ctx: typer.Context,
    by: Annotated[
        Literal["day", "session", "model", "realm"], typer.Option("--by", help="What each row is of.")
    ] = "day",
    since: Annotated[
        str | None, typer.Option("--since", metavar="DAY", help="From this day of UTC on: 2026-11-01, or 7d.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="DAY", help="Up to this day.")] = None,
    session: Annotated[str | None, typer.Option("--session", metavar="SESSION", help="Only of this session.")] = None,
    all_realms: Annotated[bool, typer.Option("--all-realms", help="Of every realm, not only this one.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, metavar="N", help="Rows to show.")] = 30,
) -> None:
    """Show what turns have used and what that cost, by the list prices or those of the config.

    A cost with `~` is estimated in part, one with `+` has calls without a known price besides.
    """
    options = Options.of(ctx)
    params = {
        "by": by,
        "since": _day(since),
        "until": _day(until),
        "session_id": session,
        "all_realms": all_realms or None,
        "limit": limit,
    }
    with connect(options, reference=session) as client:
        report = client.call("usage/read", {name: value for name, value in params.items() if value is not None})
    if options.json:
        output.document(report)
        return
    for problem in report["problems"]:
        output.note(f"realm {problem['realm_id']} is not counted: {problem['message']}")
    if not report["rows"]:
        output.note("Nothing was used.")
        return
    _show(report)


def _show(report: dict[str, Any]) -> None:
    rows, by = report["rows"], report["by"]
    # Where no price is known, bars are of tokens.
    priced = any("cost" in row for row in rows)
    sizes = [row.get("cost", {}).get("usd", 0.0) if priced else row["usage"]["total_tokens"] for row in rows]
    names = _names(rows, by)
    shown = [(name, *_figures(row), bar) for name, row, bar in zip(names, rows, bars.bars(sizes), strict=True)]
    total = report["total"]
    if len(rows) > 1 or report["omitted"]:
        shown.append(("total", *_figures(total), ""))
    table.show((_HEADINGS[by], "CALLS", "INPUT", "OUTPUT", "TIME", "COST", ""), shown, right=(1, 2, 3, 4, 5))
    if report["omitted"]:
        output.note(f"{report['omitted']} more rows are only in the total; --limit shows them")
    if priced:
        output.note(f"list prices of {report['prices_as_of']}; [prices] of the config wins over them")


def _figures(row: dict[str, Any]) -> tuple[str, ...]:
    tokens = row["usage"]
    return (
        f"{row['calls']:,}",
        f"{tokens['input_tokens']:,}",
        f"{tokens['output_tokens']:,}",
        _time(row["duration_ms"] / 1000),
        budgets.money(row.get("cost")) or "unknown",
    )


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def _names(rows: list[dict[str, Any]], by: str) -> list[str]:
    if by != "session":
        return [row["key"] for row in rows]
    short = short_all([row["key"] for row in rows])
    return [f"{short[row['key']]} {row.get('title', '')[:_TITLE_CHARS]}".rstrip() for row in rows]


# Beside the figures and the bar.
_TITLE_CHARS = 24


def _day(text: str | None) -> str | None:
    """A day of UTC; `7d` is a week ago."""
    found = _DAYS_AGO.fullmatch(text) if text is not None else None
    if text is None or found is None:
        return text
    from datetime import UTC, datetime, timedelta

    try:
        return (datetime.now(UTC) - timedelta(days=int(found[1]))).date().isoformat()
    except OverflowError:
        raise RkatError("INVALID_PARAMS", f"{text} ago is before all days.", hint="As in: --since 30d") from None
