"""The exceptions of this client: every failure, the daemon's or our own, is a `RkatError` with a code.

Codes are those of the one error table (`wire.codes`), also for what happens on this side of the socket:
DAEMON_UNAVAILABLE, PERMISSION_DENIED, REQUEST_TOO_LARGE, INVALID_PARAMS for values that cannot be sent.

Codes that one would handle alike form a family, and each family is a class: catch the class, or test the code.
`RkatError(code, ...)` is of its code's family by itself, so nobody who raises one has to know the families.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, cast

from .wire.codes import TABLE, row
from .wire.faults import WireError

if TYPE_CHECKING:
    from datetime import datetime

    from .types import ToolCallRecord


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

    def __new__(cls, code: str, *_: object, **__: object) -> Self:
        made: Self = super().__new__(cast(Any, _FAMILIES.get(code, cls) if cls is RkatError else cls))
        return made

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
        return f"<{type(self).__name__} {self.code}: {self.message}>"

    @property
    def session_id(self) -> str | None:
        """The session that it is about, if the daemon named one; also that of a create whose first turn failed."""
        named = self.details.get("session_id")
        return named if isinstance(named, str) else None


class RequestError(RkatError):
    """The request itself is at fault: malformed, unknown, too large, or a key that was used for another one."""


class SessionError(RkatError):
    """The session is not in the state that the request needs."""


class SessionNotFoundError(SessionError):
    """The realm has no such session."""


class SessionBusyError(SessionError):
    """A turn is running in the session. The attributes say whose."""

    @property
    def turn_id(self) -> str | None:
        return self.details.get("turn_id")

    @property
    def started_at(self) -> "datetime | None":
        """When the running turn began, in UTC."""
        at_ms = self.details.get("started_at_ms")
        if not isinstance(at_ms, int):
            return None
        from datetime import UTC, datetime

        return datetime.fromtimestamp(at_ms / 1000, UTC)

    @property
    def surface(self) -> str | None:
        """Which kind of program started it: cli, rpc, rest, mcp or sdk."""
        return self.details.get("surface")

    @property
    def client(self) -> str | None:
        """The name of that program."""
        return self.details.get("client")

    @property
    def cursor(self) -> int | None:
        """Follow the session's events from here to see all of the running turn."""
        return self.details.get("cursor")


class SessionNotRunningError(SessionError):
    """No turn is running in the session."""


class SessionArchivedError(SessionError):
    """The session is archived and takes no changes."""


class StaleCursorError(SessionError):
    """The cursor does not belong to the session's events."""


class TurnError(RkatError):
    """The turn gave no result. What it had produced is kept, and the session can go on."""


class TurnInterruptedError(TurnError):
    """Somebody interrupted the turn, or took the request back."""

    @property
    def text(self) -> str:
        """What the turn had answered so far."""
        text = self.details.get("text", "")
        return text if isinstance(text, str) else ""


class TurnLostError(TurnError):
    """The daemon ended before the turn did. Its prompt is in the history and is not run again by itself."""

    @property
    def turn_id(self) -> str | None:
        return self.details.get("turn_id")

    @property
    def tool_calls(self) -> "list[ToolCallRecord]":
        """The ledger: what ran, what may have run, and what never ran."""
        return list(self.details.get("tool_calls") or ())


class StructuredOutputError(TurnError):
    """The answer does not fit the output schema, however often the model was asked."""

    @property
    def text(self) -> str:
        """What the model answered last."""
        text = self.details.get("text", "")
        return text if isinstance(text, str) else ""

    @property
    def errors(self) -> "list[dict[str, str]]":
        """Where it does not fit: `path` and `message` of each place."""
        return list(self.details.get("errors") or ())


class BudgetExhaustedError(TurnError):
    """A budget is used up; what the turn had produced is kept, and `details` tells whose budget and of what.

    `text` is what the model had said; it is empty when the turn was refused before it began.
    """

    @property
    def text(self) -> str:
        return str(self.details.get("text", ""))


class ProviderError(TurnError):
    """The model's provider failed or refused, or none can be used."""


class ConfigError(RkatError):
    """The config cannot be used or changed like this."""


class ConfigConflictError(ConfigError):
    """The config has another generation than expected: read it and repeat the change on what is there."""

    @property
    def expected_generation(self) -> int | None:
        return self.details.get("expected_generation")

    @property
    def current_generation(self) -> int | None:
        return self.details.get("current_generation")


class RealmError(RkatError):
    """The realm does not exist, exists already, is in use, or cannot be opened by this daemon."""


class StorageError(RkatError):
    """The disk is full or failed."""


class CapabilityUnavailableError(RkatError):
    """This daemon lacks what is asked for."""


class DaemonError(RkatError):
    """The daemon cannot be reached, takes no new work, or is at fault itself."""


class ConnectionLostError(DaemonError):
    """The connection broke before the reply came (DAEMON_UNAVAILABLE): what was asked for may have happened or not.

    The clients ask again by themselves wherever that cannot do anything twice, so few ever see it.

    Attributes:
        begun: False when the daemon had said that it leaves and begins nothing more: then it has not happened.
    """

    begun = True


class VersionMismatchError(DaemonError):
    """Client and daemon do not share a protocol."""


def makes_way(error: RkatError) -> bool:
    """Whether a daemon that is too old for us is about to go on with the program that is installed: try again."""
    return error.code == "VERSION_MISMATCH" and bool(error.details.get("restarting"))


_MEMBERS: dict[type[RkatError], tuple[str, ...]] = {
    RequestError: (
        "PARSE_ERROR", "INVALID_REQUEST", "METHOD_NOT_FOUND", "INVALID_PARAMS", "DUPLICATE_INPUT", "REQUEST_TOO_LARGE",
        "UNAUTHORIZED", "NOT_FOUND", "METHOD_NOT_ALLOWED", "BLOB_NOT_FOUND",
        "APPROVAL_NOT_FOUND", "APPROVAL_DECIDED",
    ),
    SessionNotFoundError: ("SESSION_NOT_FOUND",),
    SessionBusyError: ("SESSION_BUSY",),
    SessionNotRunningError: ("SESSION_NOT_RUNNING",),
    SessionArchivedError: ("SESSION_ARCHIVED",),
    StaleCursorError: ("STALE_CURSOR",),
    TurnError: ("AGENT_ERROR",),
    BudgetExhaustedError: ("BUDGET_EXHAUSTED",),
    StructuredOutputError: ("STRUCTURED_OUTPUT_INVALID",),
    TurnInterruptedError: ("REQUEST_CANCELLED",),
    TurnLostError: ("TURN_LOST",),
    ProviderError: ("PROVIDER_ERROR", "PROVIDER_NOT_CONFIGURED"),
    ConfigError: ("CONFIG_INVALID",),
    ConfigConflictError: ("CONFIG_CONFLICT",),
    RealmError: (
        "REALM_NOT_FOUND", "REALM_BACKEND_MISMATCH", "BACKEND_UNAVAILABLE", "REALM_TOO_NEW", "REALM_IN_USE",
        "REALM_DAMAGED", "REALM_EXISTS",
    ),
    StorageError: ("STORAGE_FULL", "STORAGE_ERROR", "STORAGE_UNKNOWN"),
    CapabilityUnavailableError: ("CAPABILITY_UNAVAILABLE",),
    DaemonError: ("DAEMON_UNAVAILABLE", "SHUTTING_DOWN", "OVERLOADED", "PERMISSION_DENIED", "INTERNAL_ERROR"),
    VersionMismatchError: ("VERSION_MISMATCH",),
}  # fmt: skip
_FAMILIES = {code: family for family, codes in _MEMBERS.items() for code in codes}


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
