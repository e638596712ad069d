"""Budgets: what a turn, a session or a realm may use; and what a model costs."""

from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from typing_extensions import TypedDict

from .base import Params
from .duration import SCHEMA, seconds

# Beyond these no limit is meant: a trillion tokens, a billion tool calls, ten years, a million dollars.
MAX_TOKENS = 10**12
MAX_TOOL_CALLS = 10**9
MAX_SECONDS = 10 * 366 * 86_400.0
MAX_DOLLARS = 1_000_000.0
# No model costs more for a million tokens; a price per token, given by mistake, is far below any that is real.
MAX_DOLLARS_PER_MILLION = 100_000.0


def _limit(value: float) -> float:
    if not 0 < value <= MAX_SECONDS:
        raise ValueError("must be more than 0 and at most ten years")
    return value


BudgetTokens = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
BudgetToolCalls = Annotated[int, Field(ge=0, le=MAX_TOOL_CALLS)]
BudgetDuration = Annotated[
    float, BeforeValidator(seconds), AfterValidator(_limit), WithJsonSchema({**SCHEMA, "title": "Duration"})
]
BudgetDollars = Annotated[float, Field(gt=0, le=MAX_DOLLARS, allow_inf_nan=False)]
DollarsPerMillion = Annotated[float, Field(ge=0, le=MAX_DOLLARS_PER_MILLION, allow_inf_nan=False)]


class BudgetLimits(Params):
    """The most that may be used of each; what is left out has no limit here."""

    max_tokens: BudgetTokens | None = Field(None, description="Tokens of input and output together.")
    max_duration: BudgetDuration | None = Field(
        None, description="Seconds, or text such as `30s`; waiting for an approval does not count."
    )
    max_tool_calls: BudgetToolCalls | None = None
    max_cost: BudgetDollars | None = Field(None, description="US dollars; the price of the model must be known.")


class Budget(TypedDict):
    """Limits as they count: tokens, seconds, calls, US dollars."""

    max_tokens: NotRequired[int]
    max_duration: NotRequired[float]
    max_tool_calls: NotRequired[int]
    max_cost: NotRequired[float]


def amounts(limits: Any) -> dict[str, int]:
    """Limits of a request or a config in whole units: tokens, milliseconds, tool calls, nano-dollars."""
    known = {
        "tokens": limits.max_tokens,
        "time": None if limits.max_duration is None else max(1, round(limits.max_duration * 1000)),
        "tool_calls": limits.max_tool_calls,
        "cost": None if limits.max_cost is None else max(1, round(limits.max_cost * 10**9)),
    }
    return {kind: amount for kind, amount in known.items() if amount is not None}
