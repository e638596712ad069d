"""What a call of a model costs.

    config's [prices."model"]  ─►  a local model is free  ─►  the table of list prices  ─►  not known

A price that is not known is None and never 0. The table is data of a certain day, beside this file; it is read when the
first price is asked for. List prices go by the provider's name of the model: a gateway between us and the provider
(`base_url`) makes no difference, for what it charges is known to nobody here. The config says so where that is wrong.

Money is counted in whole nano-dollars, and a token's price in whole pico-dollars: $0.001 for a million tokens is 1,000
of them, so nothing is lost by rounding before the end of a call.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from .models import LOCAL, Endpoint
from .port import TokenUsage

NANOS = 10**9
"""Nano-dollars in a dollar."""

_PICOS_PER_NANO = 1000
# Pico-dollars for a token, from dollars for a million of them.
_PICOS_OF_MILLIONTH = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Pico-dollars for one token of each sort."""

    input: int
    output: int
    cache_read: int
    cache_write: int

    @classmethod
    def per_million(cls, dollars: Mapping[str, float | None]) -> "Rates":
        """Rates from dollars for a million tokens. A cache without a price of its own costs as input does."""
        known = {name: each for name, each in dollars.items() if each is not None}
        caches = {"cache_read": known["input"], "cache_write": known["input"]}
        return cls(**{name: _picos(each) for name, each in {**caches, **known}.items()})

    @property
    def worst_input(self) -> int:
        """What a token of input may cost at most: nobody knows before the call what the cache will do."""
        return max(self.input, self.cache_read, self.cache_write)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A model's price: pairs of (input tokens above which it counts, rates), the lowest first, beginning with 0.

    The tier that a call's input reaches counts for all of its tokens.
    """

    tiers: tuple[tuple[int, Rates], ...]

    def rates(self, input_tokens: int) -> Rates:
        """The rates of a call with so many tokens of input."""
        return next(rates for above, rates in reversed(self.tiers) if input_tokens > above or above == 0)

    def cost(self, usage: TokenUsage) -> int:
        """Nano-dollars for what was used."""
        rates = self.rates(usage.input_tokens)
        plain = max(0, usage.input_tokens - usage.cache_read_tokens - usage.cache_creation_tokens)
        picos = (
            plain * rates.input
            + usage.cache_read_tokens * rates.cache_read
            + usage.cache_creation_tokens * rates.cache_write
            + usage.output_tokens * rates.output
        )
        return _nanos(picos)

    def at_most(self, *, input_tokens: int, output_tokens: int) -> int:
        """Nano-dollars that a call of this size costs at most, whatever the cache does."""
        rates = self.rates(input_tokens)
        return _nanos(input_tokens * rates.worst_input + output_tokens * rates.output)

    def affordable_output(self, nanos: int, *, input_tokens: int) -> int | None:
        """How many tokens of output so much money buys beside that input; None for any number, below 0 for less than
        the input costs."""
        rates = self.rates(input_tokens)
        left = nanos * _PICOS_PER_NANO - input_tokens * rates.worst_input
        if left < 0:
            return -1
        return left // rates.output if rates.output else None


FREE = Price(tiers=((0, Rates(input=0, output=0, cache_read=0, cache_write=0)),))


def price_of(endpoint: Endpoint, overrides: Mapping[str, Price]) -> Price | None:
    """The price of a model; None when it is not known.

    Args:
        overrides: the config's, by the model's full name (`server/model`) or the provider's own.
    """
    for name in (endpoint.full_name, endpoint.model):
        if name in overrides:
            return overrides[name]
    if endpoint.kind == LOCAL:
        return FREE
    return _listed(endpoint.kind, endpoint.model)


def listed_as_of() -> str:
    """The day whose list prices the table has, as YYYY-MM-DD."""
    as_of: str = _table()["as_of"]
    return as_of


@cache
def _listed(provider: str, model: str) -> Price | None:
    rows = _table()["models"]
    name = model.lower()
    row = next((row for row in rows if row["provider"] == provider and re.search(row["match"], name)), None)
    if row is None:
        return None
    return Price(tiers=tuple((above, Rates.per_million(rates)) for above, rates in map(_split, row["rates"])))


def _split(rates: dict[str, Any]) -> tuple[int, dict[str, float | None]]:
    return rates["above"], {name: value for name, value in rates.items() if name != "above"}


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(files(__package__).joinpath("price_table.json").read_text("utf-8"))
    return table


def _picos(dollars_per_million: float) -> int:
    return round(dollars_per_million * _PICOS_OF_MILLIONTH)


def _nanos(picos: int) -> int:
    """Rounded up: a sum of many small calls must not come out as nothing."""
    return -(-picos // _PICOS_PER_NANO)
