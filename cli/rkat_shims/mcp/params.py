"""What tools take that are no method of their own, or less than theirs. The same kind of shapes as the contract's."""

from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import Field, create_model
from typing_extensions import TypedDict

from meerkatd.contract.base import (
    DEFAULT_LIMIT,
    JsonObject,
    Limit,
    Offset,
    Params,
    SessionRef,
    ShortText,
)
from meerkatd.contract.config import ConfigGet, ConfigPatch, ConfigSet
from meerkatd.contract.event import EventEnvelope

# The public contract's figure.
DEFAULT_TIMEOUT_MS = 5_000
# Agents give a request up after a minute or so; whoever wants to wait longer asks again, or says no_timeout.
MAX_TIMEOUT_MS = 600_000


# The params of each action of `meerkat_config`.
CONFIG_ACTIONS: dict[str, type[Params]] = {"get": ConfigGet, "set": ConfigSet, "patch": ConfigPatch}


def _config() -> type[Params]:
    """One shape of three methods: an action, and whatever goes with it."""
    fields: dict[str, Any] = {}
    for action, shape in CONFIG_ACTIONS.items():
        for name, field in shape.model_fields.items():
            about = f"For `{action}`. {field.description or ''}".strip() if name not in fields else field.description
            fields[name] = cast(Any, field.annotation) | None, Field(None, description=about)
    return create_model("Config", __base__=Params, action=Literal["get", "set", "patch"], **fields)


Config = _config()


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
