"""A question to a person about a tool call, as it is stored. No I/O here."""

from dataclasses import dataclass
from typing import Literal

ApprovalState = Literal["pending", "allowed", "denied", "cancelled", "used"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRow:
    """One question, and its answer once there is one.

    Attributes:
        created_ms, decided_ms: Unix time in milliseconds. Lists are ordered by `created_ms` and then `approval_id`,
            newest first.
        body: JSON document of the question.
        decision: JSON document of the answer; None while there is none.
    """

    approval_id: str
    session_id: str
    turn_id: str
    call_id: str
    state: ApprovalState
    created_ms: int
    decided_ms: int | None = None
    body: str
    decision: str | None = None
