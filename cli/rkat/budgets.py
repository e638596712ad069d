"""Options that limit what a turn or a session may use, and how amounts are shown."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from meerkat_client.errors import RkatError

MaxDuration = Annotated[
    str | None,
    typer.Option("--max-duration", "-d", metavar="TIME", help="End the turn after this long, such as 90s or 10m."),
]
MaxToolCalls = Annotated[
    int | None, typer.Option("--max-tool-calls", min=0, metavar="N", help="Tool calls of the turn; 0 for none.")
]
MaxTotalTokens = Annotated[
    int | None,
    typer.Option("--max-total-tokens", min=1, metavar="N", help="Tokens of the turn, of input and output together."),
]
MaxCost = Annotated[
    float | None, typer.Option("--max-cost", metavar="USD", help="What the turn may cost, in US dollars.")
]
SessionBudget = Annotated[
    list[str] | None,
    typer.Option(
        "--session-budget",
        metavar="K=V",
        help="For all turns of the session together: max_tokens, max_duration, max_tool_calls, max_cost; repeatable.",
    ),
]
_NUMBERS: dict[str, type[int] | type[float]] = {"max_tokens": int, "max_tool_calls": int, "max_cost": float}
_NAMES = ("max_tokens", "max_duration", "max_tool_calls", "max_cost")


def params_of(
    *,
    max_duration: str | None,
    max_tool_calls: int | None,
    max_total_tokens: int | None,
    max_cost: float | None,
    session_budget: Iterable[str] | None,
) -> dict[str, Any]:
    """Params of a request; None where nothing was given.

    Raises:
        RkatError: INVALID_PARAMS for what is no limit.
    """
    turn = {
        "max_tokens": max_total_tokens,
        "max_duration": None if max_duration is None else _duration(max_duration),
        "max_tool_calls": max_tool_calls,
        "max_cost": max_cost,
    }
    said = {name: value for name, value in turn.items() if value is not None}
    words = dict(_limit(word) for word in session_budget or ())
    return {"budget_limits": said or None, "session_budget_limits": words or None}


def _limit(word: str) -> tuple[str, Any]:
    name, sign, text = word.partition("=")
    name = name if name.startswith("max_") else f"max_{name}"
    if not sign or name not in _NAMES:
        raise _refused(f"{word!r} is not of the form LIMIT=VALUE, with a limit of {', '.join(_NAMES)}.")
    if name == "max_duration":
        return name, _duration(text)
    try:
        return name, _NUMBERS[name](text)
    except ValueError:
        raise _refused(f"{text!r} is no number, as {name} needs one.") from None


def _duration(text: str) -> float | str:
    """A number alone is seconds."""
    try:
        return float(text)
    except ValueError:
        return text


def _refused(message: str) -> RkatError:
    return RkatError(
        "INVALID_PARAMS",
        message,
        hint="As in: --session-budget max_cost=5 --session-budget max_tokens=200000",
        details={"field": "session_budget_limits"},
    )


def money(cost: dict[str, Any] | None) -> str | None:
    """A cost for people; None when nothing of it is known. `~` when a part is estimated, `+` when one has no price."""
    if cost is None:
        return None
    return f"{'~' if cost['estimated'] else ''}{dollars(cost['usd'])}{'+' if cost['unpriced_calls'] else ''}"


def dollars(usd: float) -> str:
    """Money for people: cents, and where there are none as much as says something."""
    if usd >= 1 or usd == 0:
        return f"${usd:,.2f}"
    return f"${usd:.4f}" if usd >= 0.01 else f"${usd:.6f}" if usd >= 1e-6 else "<$0.000001"


def warning(payload: dict[str, Any]) -> str:
    """The event `budget_warning` as a line."""
    kind, whose = payload["budget_type"], payload.get("scope", "turn")
    used, limit = _amount(kind, payload["used"]), _amount(kind, payload["limit"])
    return f"{payload['percent']:g} % of the {whose}'s budget are used: {used} of {limit}"


def _amount(kind: str, amount: int) -> str:
    match kind:
        case "time":
            return f"{amount / 1000:g} s"
        case "tool_calls":
            return f"{amount:,} tool calls"
        case "cost":
            return dollars(amount / 1e9)
        case _:
            return f"{amount:,} {kind}"
