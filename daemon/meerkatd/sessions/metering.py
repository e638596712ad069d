"""Puts together what binds a turn: its own limits, its session's, the realm's, and the price of its model.

Limits of a turn: those of its request, then its session's, then the config's, each for itself. A request that cannot
be paid for is refused before anything is stored; what runs out later ends a turn that is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..agent.agents import AgentDefaults
from ..agent.limits import KINDS, Amounts, Limits
from ..agent.models import Endpoint
from ..agent.prices import Price, price_of
from ..contract.event import EventPayload
from ..errors import ConfigInvalid, InvalidParams, MeerkatError
from ..store.api import RealmStore
from .budget import Account
from .exhaustion import exhausted
from .realm_budget import RealmBudget, total
from .turn_meter import TurnMeter


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a turn may use, decided when it is admitted."""

    turn: Limits
    session: Account
    price: Price | None


class Metering:
    """The realm's budget and the meters of its turns.

    Args:
        defaults: the config's, right now.
        now_ms: the wall clock.
    """

    def __init__(self, defaults: Callable[[], AgentDefaults], *, now_ms: Callable[[], int]) -> None:
        self._defaults = defaults
        self._now_ms = now_ms
        self._realm = RealmBudget(now_ms=now_ms)
        self._meters: set[TurnMeter] = set()

    def turn_limits(self, *said: Limits | None) -> Limits:
        """The limits of a turn, the most specific first, and the config's beneath."""
        limits = Limits()
        for each in said:
            limits = limits.over(each or Limits())
        return limits.over(self._defaults().turn_limits)

    def check_price(self, endpoint: Endpoint, *, turn: Limits, session: Limits) -> Price | None:
        """The price of a model; None when it is not known and nothing counts money.

        Raises:
            InvalidParams, ConfigInvalid: it is not known, and the request or the config has a limit of money.
        """
        return _price(endpoint, self._defaults(), turn=turn, session=session)

    async def allowance(
        self, store: RealmStore, endpoint: Endpoint, *, session_id: str | None, turn: Limits, session: Limits
    ) -> Allowance:
        """What a turn may use.

        Args:
            session_id: None for a session that is new.

        Raises:
            BudgetExhausted: the session's or the realm's is used up.
            InvalidParams, ConfigInvalid: see `check_price`.
        """
        # Read once: each reading looks at the config's files.
        defaults = self._defaults()
        price = _price(endpoint, defaults, turn=turn, session=session)
        spent = Amounts()
        if session and session_id is not None:
            spent = total(await store.usage(session_id=session_id))
        account = Account("session", session, spent=spent)
        await self._realm.load(store, defaults.realm_limits, unsaved=self._unsaved)
        for each in (account, self._realm.account(defaults.realm_limits)):
            for kind in KINDS:
                limit = each.limits.of(kind)
                # One that allows no tool call at all is not used up by that.
                if limit is not None and each.spent.of(kind) >= limit and kind != "tool_calls":
                    raise exhausted(each, kind, wanted=0)
        return Allowance(turn=turn, session=account, price=price)

    def meter(self, allowance: Allowance, emit: Callable[[EventPayload], Any]) -> TurnMeter:
        """The meter of a turn. Give it back with `forget` once its charges are durable."""
        turn = Account("turn", allowance.turn)

        def accounts() -> Sequence[Account]:
            return turn, allowance.session, self._realm.account(self._defaults().realm_limits)

        meter = TurnMeter(accounts, price=allowance.price, emit=emit, now_ms=self._now_ms)
        self._meters.add(meter)
        return meter

    def forget(self, meter: TurnMeter) -> None:
        self._meters.discard(meter)

    def _unsaved(self) -> Amounts:
        return sum((charge.spent for meter in self._meters for charge in meter.unsaved), Amounts())


def _price(endpoint: Endpoint, defaults: AgentDefaults, *, turn: Limits, session: Limits) -> Price | None:
    price = price_of(endpoint, defaults.prices)
    if price is not None:
        return price
    if session.cost is not None or (turn.cost is not None and turn.cost != defaults.turn_limits.cost):
        raise _no_price(InvalidParams, endpoint, field="max_cost")
    if turn.cost is not None:
        raise _no_price(ConfigInvalid, endpoint, field="budget.max_cost")
    if defaults.realm_limits.limits.cost is not None:
        raise _no_price(ConfigInvalid, endpoint, field="limits.max_cost")
    return None


def _no_price(kind: type[MeerkatError], endpoint: Endpoint, *, field: str) -> MeerkatError:
    return kind(
        f"There is a limit of money, but the price of {endpoint.full_name} is not known.",
        details={"field": field, "model": endpoint.full_name},
        hint=f'Tell it in the config: [prices."{endpoint.full_name}"] with input and output, in dollars for a million '
        "tokens (0 for a server of your own), or leave the limit of money out.",
    )
