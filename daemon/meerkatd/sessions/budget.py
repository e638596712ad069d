"""A budget's account: what is spent, what is reserved for calls that run, and what is left. No I/O, no clock.

    reserve (worst case) ─► the call runs ─► settle (what it was): the reserve goes, what was used stays

What is reserved counts as spent until it is settled, so calls that run side by side cannot each take the same rest:
together they go beyond a limit at most by what one of them used beyond its own reserve. All of this is synchronous;
between a check and its reservation nothing else runs.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from ..agent.limits import KINDS, Amounts, Kind, Limits

Scope = Literal["turn", "session", "realm"]

# From here on a `budget_warning` is due; the public contract's default.
WARNING_PERCENT = 80


class Shortage(NamedTuple):
    """What does not fit, and into which account. `wanted` is what was asked for."""

    account: "Account"
    kind: Kind
    wanted: int


class Crossing(NamedTuple):
    """An account has come to the threshold of a warning."""

    account: "Account"
    kind: Kind
    used: int
    limit: int


class Account:
    """One budget.

    Args:
        spent: what was spent before.
    """

    def __init__(self, scope: Scope, limits: Limits, *, spent: Amounts | None = None) -> None:
        self.scope: Scope = scope
        self.spent = Amounts()
        self.reserved = Amounts()
        self._warned: set[Kind] = set()
        self._limits = limits
        self.resume(spent or Amounts())

    def __repr__(self) -> str:
        return f"<Account of the {self.scope}: {self.spent} spent, {self.reserved} reserved, of {self._limits}>"

    @property
    def limits(self) -> Limits:
        return self._limits

    def limit(self, limits: Limits) -> None:
        """Other limits from now on. A limit that changed warns anew."""
        self._warned -= {kind for kind in KINDS if limits.of(kind) != self._limits.of(kind)}
        self._limits = limits

    def resume(self, spent: Amounts) -> None:
        """So much was spent before; thresholds that were crossed with that are not warned of again."""
        self.spent = spent
        self.crossings()

    def begin_anew(self) -> None:
        """A new period: nothing is spent yet. What is reserved stays, for it is settled in this one."""
        self.spent = Amounts()
        self._warned.clear()

    def left(self, kind: Kind) -> int | None:
        """What can still be reserved; None for any amount, below 0 when more was used than there was."""
        limit = self._limits.of(kind)
        return None if limit is None else limit - self.spent.of(kind) - self.reserved.of(kind)

    def crossings(self, under_way: Amounts | None = None) -> list[Crossing]:
        """The warnings that are due; each is given once for each time its threshold is crossed.

        Args:
            under_way: spent, but not settled yet.
        """
        due = []
        for kind in KINDS:
            limit = self._limits.of(kind)
            used = self.spent.of(kind) + (under_way.of(kind) if under_way else 0)
            if limit is None or kind in self._warned or used * 100 < limit * WARNING_PERCENT or not used:
                continue
            self._warned.add(kind)
            due.append(Crossing(self, kind, used, limit))
        return due


def shortage(accounts: Sequence[Account], wanted: Amounts) -> Shortage | None:
    """The first account that does not have `wanted` left; None when all of them have. What is not wanted is not asked
    for, so that an account which is used up in one thing still gives others."""
    for account in accounts:
        for kind in KINDS:
            left, needed = account.left(kind), wanted.of(kind)
            if left is not None and needed > left and needed > 0:
                return Shortage(account, kind, needed)
    return None


def reserve(accounts: Sequence[Account], wanted: Amounts) -> Shortage | None:
    """Reserve `wanted` in all of the accounts, or in none of them; tells what is short in the second case."""
    short = shortage(accounts, wanted)
    if short is None:
        for account in accounts:
            account.reserved += wanted
    return short


def settle(accounts: Sequence[Account], reserved: Amounts, used: Amounts) -> list[Crossing]:
    """Put what was `used` in the place of what was `reserved`; gives the warnings that are due."""
    due = []
    for account in accounts:
        account.reserved -= reserved
        account.spent += used
        due += account.crossings()
    return due
