"""Usage: what calls of models have used and cost, summed by session, realm, model or day."""

from datetime import date
from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator
from typing_extensions import TypedDict

from .base import DEFAULT_LIMIT, Limit, Params, SessionRef, Text
from .turn import Cost, Usage


def _day(text: str) -> str:
    try:
        if len(text) != len("2026-11-23"):
            raise ValueError
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError("must be a day such as 2026-11-23") from None


Day = Annotated[Text, AfterValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]


class UsageRead(Params):
    """`usage/read`: what was used and what it cost."""

    by: Literal["session", "realm", "model", "day"] = Field("day", description="What each row is of.")
    since: Day | None = Field(None, description="This day of UTC and later.")
    until: Day | None = Field(None, description="This day of UTC and earlier.")
    session_id: SessionRef | None = Field(None, description="Only of this session.")
    all_realms: bool = Field(False, description="Of every realm of the state root.")
    limit: Limit = DEFAULT_LIMIT

    @model_validator(mode="after")
    def _one_place(self) -> "UsageRead":
        if self.all_realms and self.session_id is not None:
            raise ValueError("a session is in one realm: give either session_id or all_realms")
        return self


class UsageLine(TypedDict):
    """The sum of some calls. `key` is the session's id, the realm's, the model's name or the day, as was asked.

    `duration_ms` is how long agents worked, without waiting for approvals. Without `cost` no price is known.
    """

    key: str
    realm_id: NotRequired[str]
    title: NotRequired[str]
    calls: int
    estimated_calls: int
    tool_calls: int
    duration_ms: int
    usage: Usage
    cost: NotRequired[Cost]


class UsageProblem(TypedDict):
    """A realm that could not be read, and is not in the sums."""

    realm_id: str
    message: str


class UsageReport(TypedDict):
    """Result of `usage/read`. Days come in their order, anything else with the most expensive first.

    `omitted` rows are only in `total`. `prices_as_of` is the day of the list prices that new calls are charged by.
    """

    by: Literal["session", "realm", "model", "day"]
    rows: list[UsageLine]
    total: UsageLine
    omitted: int
    problems: list[UsageProblem]
    prices_as_of: str
