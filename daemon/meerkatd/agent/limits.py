"""What a budget counts, and how much of it there may be."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

Kind = Literal["tokens", "time", "tool_calls", "cost"]
"""What a budget counts: names of the public event `budget_warning`, and `cost`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How much of each: tokens of input and output, milliseconds, tool calls, nano-dollars."""

    tokens: int = 0
    time: int = 0
    tool_calls: int = 0
    cost: int = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(
            tokens=self.tokens + other.tokens,
            time=self.time + other.time,
            tool_calls=self.tool_calls + other.tool_calls,
            cost=self.cost + other.cost,
        )

    def __sub__(self, other: "Amounts") -> "Amounts":
        return Amounts(
            tokens=self.tokens - other.tokens,
            time=self.time - other.time,
            tool_calls=self.tool_calls - other.tool_calls,
            cost=self.cost - other.cost,
        )

    def of(self, kind: Kind) -> int:
        amount: int = getattr(self, kind)
        return amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most of each, in the units of `Amounts`; None for no limit."""

    tokens: int | None = None
    time: int | None = None
    tool_calls: int | None = None
    cost: int | None = None

    def __bool__(self) -> bool:
        return any(self.of(kind) is not None for kind in KINDS)

    def of(self, kind: Kind) -> int | None:
        limit: int | None = getattr(self, kind)
        return limit

    def dump(self) -> dict[str, int]:
        """A document without what has no limit; `load` reads it."""
        return {kind: limit for kind in KINDS if (limit := self.of(kind)) is not None}

    @classmethod
    def load(cls, document: Mapping[str, int] | None) -> "Limits":
        return cls(**{kind: limit for kind, limit in (document or {}).items() if kind in KINDS})

    def over(self, beneath: "Limits") -> "Limits":
        """These, and where they say nothing those of `beneath`."""
        return Limits(**{kind: beneath.of(kind) if (own := self.of(kind)) is None else own for kind in KINDS})


Period = Literal["day", "month", "ever"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RealmLimits:
    """What all turns of a realm may use together in a period: a day or a month of UTC, or all time."""

    limits: Limits = field(default_factory=Limits)
    period: Period = "month"


KINDS: tuple[Kind, ...] = ("tokens", "time", "tool_calls", "cost")

assert KINDS == tuple(each.name for each in fields(Limits)) == tuple(each.name for each in fields(Amounts))
