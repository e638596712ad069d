"""What calls of models cost, and sums of it. No I/O here.

A *charge* is one call of a provider. Charges are kept one by one, and summed by session, day (UTC), provider and model
as they come in, so that telling a year's usage takes as long as that year has days and models, however many calls there
were. Backends without tables of their own keep the sums in a `Spending` of each session.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b

DAY_MS = 86_400_000

# Day (number since 1970), provider, model.
Slot = tuple[int, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTotals:
    """Tokens as the provider counted them, summed over a session or a turn."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_tokens: int = 0
    cache_read_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "UsageTotals") -> "UsageTotals":
        return UsageTotals(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_creation_tokens=self.cache_creation_tokens + other.cache_creation_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRow:
    """One call of a provider, and what it cost. Never changed once recorded.

    Attributes:
        charge_id: unique within the session. A charge that is recorded already is left out, so that a write whose
            outcome was unknown can be asked for again.
        at_ms: when the call ended, Unix time in milliseconds; it tells the day that is charged.
        cost_nanos: in billionths of a US dollar; None when the price is not known.
        estimated: the provider has not told the tokens; they were estimated.
        time_ms, tool_calls: of its turn, since the charge before: how long its agent worked, how many tools it called.

    One without tokens is no call, but the rest of a turn that ended after its last one.
    """

    charge_id: str
    session_id: str
    turn_id: str
    at_ms: int
    provider: str
    model: str
    usage: UsageTotals
    cost_nanos: int | None
    estimated: bool
    time_ms: int = 0
    tool_calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """The sum of one session's charges of one day, provider and model.

    Attributes:
        day: of UTC, "2026-11-23".
        cost_nanos: of the calls whose cost is known, in billionths of a US dollar.
        calls: all calls, those of `calls_without_cost` and `estimated` among them.
        calls_without_cost: calls whose cost is not known.
        estimated: calls whose tokens were estimated.
        time_ms, tool_calls: how long agents worked, and how many tools they called.
    """

    session_id: str
    day: str
    provider: str
    model: str
    usage: UsageTotals
    cost_nanos: int
    calls: int
    calls_without_cost: int
    estimated: int
    time_ms: int
    tool_calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What `UsageRow` says, but for which session, day, provider and model."""

    usage: UsageTotals = field(default_factory=UsageTotals)
    cost_nanos: int = 0
    calls: int = 0
    calls_without_cost: int = 0
    estimated: int = 0
    time_ms: int = 0
    tool_calls: int = 0

    def plus(self, charge: ChargeRow) -> "Sum":
        return Sum(
            usage=self.usage + charge.usage,
            cost_nanos=self.cost_nanos + (charge.cost_nanos or 0),
            calls=self.calls + (charge.usage != UsageTotals()),
            calls_without_cost=self.calls_without_cost + (charge.cost_nanos is None),
            estimated=self.estimated + charge.estimated,
            time_ms=self.time_ms + charge.time_ms,
            tool_calls=self.tool_calls + charge.tool_calls,
        )


class Spending:
    """One session's sums, and marks of the charges that are in them.

    Attributes:
        marks: 8 bytes of each charge's id, in the order of recording; enough to tell one from the other within a
            session, and a tenth of what the ids take.
    """

    __slots__ = ("marks", "sums")

    def __init__(self, sums: dict[Slot, Sum] | None = None, marks: Iterable[int] = ()) -> None:
        self.sums: dict[Slot, Sum] = sums or {}
        self.marks: dict[int, None] = dict.fromkeys(marks)

    def has(self, charge_id: str) -> bool:
        return mark(charge_id) in self.marks

    def add(self, charge: ChargeRow) -> Callable[[], None]:
        """Take in a charge that is new. Returns what takes it back, if nothing was taken in since.

        Raises:
            ValueError: it is not new.
        """
        its_mark, place = mark(charge.charge_id), slot(charge)
        if its_mark in self.marks:
            raise ValueError(f"charge {charge.charge_id} is recorded already")
        before = self.sums.get(place)
        self.marks[its_mark] = None
        self.sums[place] = (before or Sum()).plus(charge)

        def undo() -> None:
            del self.marks[its_mark]
            if before is None:
                del self.sums[place]
            else:
                self.sums[place] = before

        return undo


def slot(charge: ChargeRow) -> Slot:
    """The sum that a charge belongs to."""
    return charge.at_ms // DAY_MS, charge.provider, charge.model


def mark(charge_id: str) -> int:
    return int.from_bytes(blake2b(charge_id.encode(), digest_size=8).digest())


def days(since_ms: int | None, until_ms: int | None) -> tuple[int, int]:
    """The first and the last day of which `[since_ms, until_ms)` has a part."""
    first = 0 if since_ms is None else since_ms // DAY_MS
    last = 1 << 40 if until_ms is None else (until_ms - 1) // DAY_MS
    return first, last


def usage_row(session_id: str, place: Slot, total: Sum) -> UsageRow:
    day, provider, model = place
    return UsageRow(
        session_id=session_id,
        day=datetime.fromtimestamp(day * DAY_MS // 1000, UTC).date().isoformat(),
        provider=provider,
        model=model,
        usage=total.usage,
        cost_nanos=total.cost_nanos,
        calls=total.calls,
        calls_without_cost=total.calls_without_cost,
        estimated=total.estimated,
        time_ms=total.time_ms,
        tool_calls=total.tool_calls,
    )


def usage_rows(
    spendings: Iterable[tuple[str, Spending]], *, since_ms: int | None, until_ms: int | None
) -> Sequence[UsageRow]:
    """The sums of several sessions, in the order that `RealmStore.usage` promises."""
    first, last = days(since_ms, until_ms)
    found = [
        usage_row(session_id, place, total)
        for session_id, spending in spendings
        for place, total in spending.sums.items()
        if first <= place[0] <= last
    ]
    return sorted(found, key=lambda row: (row.day, row.session_id, row.provider, row.model))
