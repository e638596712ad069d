"""Approvals: tool calls that wait until a person has allowed them."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from .base import DEFAULT_LIMIT, Limit, Params, SessionRef, ShortText, Text
from .turn import Holder

ApprovalState = Literal["pending", "allowed", "denied", "cancelled", "used"]
"""pending: nobody has answered. allowed: somebody has, and no call has taken that yet. used: one has. denied: it was
told to the model. cancelled: the turn ended first."""

MAX_REASON_CHARS = 2000


class ApprovalList(Params):
    """`approval/list`: newest first."""

    session_id: SessionRef | None = Field(None, description="Only those of this session.")
    states: Annotated[list[ApprovalState], Field(min_length=1, max_length=5)] = Field(
        default=["pending"], description="Only those in these states."
    )
    limit: Limit = DEFAULT_LIMIT


class ApprovalGet(Params):
    """`approval/get`: one approval, also after it was answered."""

    approval_id: ShortText = Field(description="The id, or of a pending one its first 4 or more characters.")


class ApprovalDecide(Params):
    """`approval/decide`: answer. The first answer counts; later ones get APPROVAL_DECIDED, with who and when."""

    approval_id: ShortText = Field(description="The id, or the first 4 or more characters of it.")
    decision: Literal["allow", "deny"]
    reason: Annotated[Text, Field(max_length=MAX_REASON_CHARS)] | None = Field(
        None, description="Told to the model when it is denied."
    )


class Approval(TypedDict):
    """A question whether a tool may run. Times are Unix milliseconds."""

    approval_id: str
    session_id: str
    turn_id: str
    call_id: str
    tool: str
    arguments: dict[str, Any]
    state: ApprovalState
    created_at_ms: int
    decided_at_ms: NotRequired[int]
    decided_by: NotRequired[Holder]
    reason: NotRequired[str]


class ApprovalPage(TypedDict):
    """Result of `approval/list`."""

    approvals: list[Approval]
