"""What tools take that are no method of their own, or less than theirs. The same kind of shapes as the contract's."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from meerkatd.contract.base import (
    DEFAULT_LIMIT,
    IdempotencyKey,
    JsonObject,
    Limit,
    Offset,
    Params,
    SessionRef,
    ShortText,
)
from meerkatd.contract.event import EventEnvelope

# The public contract's figure.
DEFAULT_TIMEOUT_MS = 5_000
# Agents give a request up after a minute or so; whoever wants to wait longer asks again, or says no_timeout.
MAX_TIMEOUT_MS = 600_000


# What goes with which action of `meerkat_config`; what a write needs comes first.
_TAKES = {
    "get": ("effective",),
    "set": ("config", "expected_generation", "idempotency_key"),
    "patch": ("patch", "expected_generation", "idempotency_key"),
}


class Config(Params):
    """`meerkat_config`: read or change the realm's config."""

    action: Literal["get", "set", "patch"]
    config: JsonObject | None = Field(None, description="For `set`: the whole new config.")
    patch: JsonObject | None = Field(None, description="For `patch`: a JSON merge patch (RFC 7396); null deletes.")
    expected_generation: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Fail with CONFIG_CONFLICT when the config has another generation."
    )
    effective: bool = Field(False, description="For `get`: all that counts, defaults and the user's config included.")
    idempotency_key: IdempotencyKey | None = None

    @model_validator(mode="after")
    def _only_what_the_action_takes(self) -> "Config":
        takes = _TAKES[self.action]
        if stray := sorted(self.model_fields_set - {"action", *takes}):
            raise ValueError(f"{stray[0]} does not go with the action {self.action}")
        if takes[0] != "effective" and getattr(self, takes[0]) is None:
            raise ValueError(f"the action {self.action} needs {takes[0]}")
        return self


class Events(Params):
    """`meerkat_events`: what has happened in a session, oldest first."""

    session_id: SessionRef
    cursor: Offset = Field(0, description="Events after this one; 0 for all that are kept.")
    limit: Limit = Field(DEFAULT_LIMIT, description="A page may be shorter when its events are large: see has_more.")


class EventStreamOpen(Params):
    """`meerkat_event_stream_open`: follow a session's events."""

    session_id: SessionRef
    cursor: Offset | None = Field(
        None, description="Events after this one; from the start of the running turn, or from now, when absent."
    )
    until: Literal["closed", "turn_end"] = Field(
        "closed", description="`turn_end` ends the stream by itself when the running turn has ended."
    )


class EventStreamRead(Params):
    """`meerkat_event_stream_read`: the next event."""

    stream_id: ShortText
    timeout_ms: Annotated[int, Field(ge=0, le=MAX_TIMEOUT_MS)] = Field(
        DEFAULT_TIMEOUT_MS, description="Wait so long for an event."
    )
    no_timeout: bool = Field(False, description="Wait until there is one.")


class EventStreamClose(Params):
    """`meerkat_event_stream_close`: stop following."""

    stream_id: ShortText


class EventStreamOpened(TypedDict):
    """An open stream."""

    stream_id: str
    session_id: str
    opened: bool
    cursor: int


class EventStreamItem(TypedDict):
    """The next event, or why there is none: nothing came in time, or nothing will come any more."""

    stream_id: str
    status: Literal["event", "timeout", "closed"]
    event: NotRequired[EventEnvelope]
    outcome: NotRequired[Literal["remote_end", "explicit_close", "terminal_error"]]


class EventStreamClosed(TypedDict):
    """Whether it was open; `already_closed` when it was open once."""

    stream_id: str
    closed: bool
    already_closed: bool


class Error(TypedDict):
    """Why a tool failed. Test by `code`; `hint` says what can be done."""

    code: str
    message: str
    hint: str
    retryable: bool
    details: JsonObject
