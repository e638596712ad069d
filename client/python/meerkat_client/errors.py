"""The one exception of this client: every failure, the daemon's or our own, is a `RkatError` with a code.

Codes are those of the one error table (`wire.codes`), also for what happens on this side of the socket:
DAEMON_UNAVAILABLE, PERMISSION_DENIED, REQUEST_TOO_LARGE, INVALID_PARAMS for values that cannot be sent.
"""

from collections.abc import Mapping
from typing import Any

from .wire.codes import TABLE, row
from .wire.faults import WireError


class RkatError(Exception):
    """A request failed, or there is nobody to ask.

    Attributes:
        code: string code of the error table; test by this.
        message: one sentence for people.
        details: facts for programs.
        hint: what a person can do next.
        retryable: the same request, sent again later, may succeed.
        rpc_code: JSON-RPC number, as received.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        hint: str | None = None,
        retryable: bool | None = None,
        rpc_code: int | None = None,
    ) -> None:
        super().__init__(code, message)
        known = row(code)
        self.code = code
        self.message = message
        self.details: dict[str, Any] = dict(details or {})
        self.hint = hint or known.hint
        self.retryable = known.retryable if retryable is None else retryable
        self.rpc_code = known.rpc if rpc_code is None else rpc_code

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def __repr__(self) -> str:
        return f"<RkatError {self.code}: {self.message}>"


def from_wire(error: WireError) -> RkatError:
    """What this side of the wire refused."""
    return RkatError(error.code, error.message, details=error.details, hint=error.hint)


def from_error_object(error: Any) -> RkatError:
    """The `error` member of a reply. Anything may be missing: another implementation may have sent it."""
    fields = error if isinstance(error, dict) else {}
    raw = fields.get("data")
    data = raw if isinstance(raw, dict) else {}
    number = fields.get("code")
    number = number if isinstance(number, int) else None
    code = data.get("code")
    message = data.get("message") or fields.get("message") or "The daemon gave no reason."
    details = data.get("details")
    details = dict(details) if isinstance(details, dict) else {}
    hint, retryable = details.pop("hint", None), details.pop("retryable", None)
    return RkatError(
        code if isinstance(code, str) else _code_of(number),
        str(message),
        details=details,
        hint=hint if isinstance(hint, str) else None,
        retryable=retryable if isinstance(retryable, bool) else None,
        rpc_code=number,
    )


def _code_of(number: int | None) -> str:
    """The first code with this number: only INVALID_PARAMS shares its own with another."""
    return next((code for code, known in TABLE.items() if known.rpc == number), "INTERNAL_ERROR")
