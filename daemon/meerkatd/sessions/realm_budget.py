"""What the turns of one realm may spend together, in a period. Its one owner; everything else asks here.

    the config's limits ─► one account ◄─ what the store has of this period (once, when limits are first asked for)
                              ▲
                              └── every turn's meter reserves and settles here

The account is in memory and is filled from the store's sums, so neither a restart nor a crash gives anything back. The
period is a day or a month of UTC. It only goes forward: a wall clock that is set back opens no period again.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from ..agent.limits import Amounts, Limits, Period, RealmLimits
from ..store.api import RealmStore, UsageRow
from .budget import Account


class RealmBudget:
    """The realm's account.

    Args:
        now_ms: the wall clock.
    """

    def __init__(self, *, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._account = Account("realm", Limits())
        self._period: Period | None = None
        self._since_ms = 0

    async def load(self, store: RealmStore, said: RealmLimits, *, unsaved: Callable[[], Amounts]) -> None:
        """Make the account know what was spent before. Cheap when it does already, or when there are no limits.

        Args:
            said: what the config says right now.
            unsaved: what turns that run have spent and the store does not know yet.
        """
        if not said.limits or self._period == said.period:
            return
        since_ms = start_of(said.period, self._now_ms())
        # What becomes durable while the store reads is counted twice, rather than not at all.
        known, before = self._account.spent, unsaved()
        rows = await store.usage(since_ms=since_ms or None)
        if self._period == said.period:
            # Another turn, which began meanwhile, was faster.
            return
        self._account.resume(total(rows) + before + self._account.spent - known)
        self._period, self._since_ms = said.period, since_ms

    def account(self, said: RealmLimits) -> Account:
        """The account as it counts right now, by what the config says."""
        if self._period is not None and said.period == self._period:
            since_ms = start_of(said.period, self._now_ms())
            if since_ms > self._since_ms:
                self._since_ms = since_ms
                self._account.begin_anew()
        if said.limits != self._account.limits:
            self._account.limit(said.limits)
        return self._account


def start_of(period: Period, now_ms: int) -> int:
    """When the period of that moment began, as Unix milliseconds; 0 for `ever`."""
    if period == "ever":
        return 0
    today = datetime.fromtimestamp(now_ms / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return round((today if period == "day" else today.replace(day=1)).timestamp() * 1000)


def total(rows: Sequence[UsageRow]) -> Amounts:
    """What those rows have together."""
    return Amounts(
        tokens=sum(row.usage.total_tokens for row in rows),
        time=sum(row.time_ms for row in rows),
        tool_calls=sum(row.tool_calls for row in rows),
        cost=sum(row.cost_nanos for row in rows),
    )
