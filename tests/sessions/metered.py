"""A turn's meter alone, with its account and the events that it publishes."""

from typing import Any

from meerkatd.agent.limits import Limits
from meerkatd.agent.prices import FREE
from meerkatd.sessions.budget import Account
from meerkatd.sessions.turn_meter import TurnMeter


def meter_of(limits: Limits, *others: Account) -> tuple[TurnMeter, Account, list[dict[str, Any]]]:
    account, events = Account("turn", limits), []
    meter = TurnMeter(lambda: (account, *others), price=FREE, emit=events.append, now_ms=lambda: 0)
    return meter, account, events
