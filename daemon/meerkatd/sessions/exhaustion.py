"""The error of a budget that is used up: whose it is, how much there was, and how to go on."""

from decimal import Decimal

from ..agent.limits import Kind
from ..agent.prices import NANOS
from ..errors import BudgetExhausted
from .budget import Account, Scope

_WAYS_ON: dict[Scope, str] = {
    "turn": "Go on with a new turn, and a larger limit where this one was too small; what was produced is kept.",
    "session": "Raise it with the next turn (--session-budget), or begin another session; what was produced is kept.",
    "realm": "Raise it in the config ([limits]), or wait for the next period; what was produced is kept.",
}
_WAIT = "Try again in a moment, when the calls that run now are settled."


def exhausted(account: Account, kind: Kind, *, wanted: int, under_way: int = 0) -> BudgetExhausted:
    """The error.

    Args:
        wanted: what did not fit; 0 when nothing fits any more.
        under_way: spent, but not settled yet.
    """
    limit = account.limits.of(kind) or 0
    used, reserved = account.spent.of(kind) + under_way, account.reserved.of(kind)
    said = f"The {account.scope}'s budget of {shown(kind, limit)} is "
    if used >= limit:
        said += "used up."
    elif used + wanted > limit:
        said += f"nearly used up: {shown(kind, used)} are spent, and the next step may need {shown(kind, wanted)}."
    else:
        said += f"taken: {shown(kind, used)} are spent, and {shown(kind, reserved)} reserved by calls that run now."
    return BudgetExhausted(
        said,
        details={
            "scope": account.scope,
            "budget_type": kind,
            "used": used,
            "reserved": reserved,
            "wanted": wanted,
            "limit": limit,
            "terminal_cause_kind": "time_budget_exceeded" if kind == "time" else "budget_exhausted",
        },
        hint=_WAIT if used + wanted <= limit and used < limit else _WAYS_ON[account.scope],
    )


def shown(kind: Kind, amount: int) -> str:
    """An amount in words, as `12,000 tokens` or `$0.25`."""
    match kind:
        case "tokens":
            return f"{amount:,} tokens"
        case "tool_calls":
            return f"{amount:,} tool calls"
        case "time":
            return f"{amount / 1000:,.10g} s"
        case "cost":
            return f"${Decimal(amount) / NANOS:f}"
