"""Money in the shape of the contract. What has no price is told as such, and never as 0."""

from collections.abc import Sequence

from ..agent.prices import NANOS
from ..contract.turn import Cost
from ..store.api import ChargeRow, UsageRow


def cost_of_charges(charges: Sequence[ChargeRow]) -> Cost | None:
    """What these calls cost; None when no price of theirs is known."""
    known = [charge.cost_nanos for charge in charges if charge.cost_nanos is not None]
    if not known:
        return None
    return cost(sum(known), unpriced=len(charges) - len(known), estimated=any(each.estimated for each in charges))


def cost_of_usage(rows: Sequence[UsageRow]) -> Cost | None:
    """What the calls of these sums cost; None when no price of theirs is known."""
    calls, unpriced = sum(row.calls for row in rows), sum(row.calls_without_cost for row in rows)
    if calls == unpriced:
        return None
    return cost(sum(row.cost_nanos for row in rows), unpriced=unpriced, estimated=any(row.estimated for row in rows))


def cost(nanos: int, *, unpriced: int, estimated: bool) -> Cost:
    return {"usd": nanos / NANOS, "unpriced_calls": unpriced, "estimated": estimated}
