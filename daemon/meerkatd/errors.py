"""Domain errors. Each carries one code of the one error table, so that no layer has to know about any wire.

Anything that is not a `MeerkatError` and reaches `methods/dispatch.py` becomes INTERNAL_ERROR with a reference id; no
library's text ever leaves the daemon that way.
"""

import errno
import os
from collections.abc import Mapping
from typing import Any

from meerkat_client.wire.codes import TABLE


class MeerkatError(Exception):
    """An error that a caller is told of.

    Args:
        message: what happened, one sentence, without the code.
        details: facts for programs; JSON-able.
        hint: what to do next; the table's row has the default.
        code: only for errors that are rebuilt from a stored record; a subclass fixes its own.
    """

    code = "INTERNAL_ERROR"

    def __init__(
        self,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        hint: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.message = message
        self.details: dict[str, Any] = dict(details or {})
        self.hint = hint or TABLE[self.code].hint

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.code}: {self.message}>"

    def with_details(self, **details: Any) -> "MeerkatError":
        """The same error, with more facts: a layer above knows the session, the one below did not."""
        self.details.update(details)
        return self


class InvalidRequest(MeerkatError):
    code = "INVALID_REQUEST"


class MethodNotFound(MeerkatError):
    code = "METHOD_NOT_FOUND"


class InvalidParams(MeerkatError):
    code = "INVALID_PARAMS"


class ApprovalNotFound(MeerkatError):
    code = "APPROVAL_NOT_FOUND"


class ApprovalDecided(MeerkatError):
    """`details` is the approval: its state, who decided, and when."""

    code = "APPROVAL_DECIDED"


class ConfigConflict(MeerkatError):
    code = "CONFIG_CONFLICT"


class ConfigInvalid(MeerkatError):
    """A config file was edited into something that cannot be used. `details` has path, line and field."""

    code = "CONFIG_INVALID"


class SessionNotFound(MeerkatError):
    code = "SESSION_NOT_FOUND"


class BlobNotFound(MeerkatError):
    code = "BLOB_NOT_FOUND"


class SessionBusy(MeerkatError):
    code = "SESSION_BUSY"


class SessionNotRunning(MeerkatError):
    code = "SESSION_NOT_RUNNING"


class SessionArchived(MeerkatError):
    code = "SESSION_ARCHIVED"


class DuplicateInput(MeerkatError):
    code = "DUPLICATE_INPUT"


class RequestCancelled(MeerkatError):
    code = "REQUEST_CANCELLED"


class ProviderError(MeerkatError):
    """The provider failed. `details` has `status`, `provider`, `model` and `kind` where they are known."""

    code = "PROVIDER_ERROR"


class ProviderNotConfigured(MeerkatError):
    code = "PROVIDER_NOT_CONFIGURED"


class BudgetExhausted(MeerkatError):
    """A budget of the turn, its session or its realm is used up. `details` has `scope`, `budget_type`, `used`,
    `reserved`, `limit` and `terminal_cause_kind`."""

    code = "BUDGET_EXHAUSTED"


class AgentError(MeerkatError):
    code = "AGENT_ERROR"


class StructuredOutputInvalid(MeerkatError):
    """The answer does not fit the output schema. `details` has `errors` with their paths, and the answer as `text`."""

    code = "STRUCTURED_OUTPUT_INVALID"


class CapabilityUnavailable(MeerkatError):
    code = "CAPABILITY_UNAVAILABLE"


class StaleCursor(MeerkatError):
    code = "STALE_CURSOR"


class TurnLost(MeerkatError):
    code = "TURN_LOST"


class RealmNotFound(MeerkatError):
    code = "REALM_NOT_FOUND"


class RealmBackendMismatch(MeerkatError):
    code = "REALM_BACKEND_MISMATCH"


class BackendUnavailable(MeerkatError):
    code = "BACKEND_UNAVAILABLE"


class RealmTooNew(MeerkatError):
    code = "REALM_TOO_NEW"


class RealmExists(MeerkatError):
    code = "REALM_EXISTS"


class RealmInUse(MeerkatError):
    code = "REALM_IN_USE"


class RealmDamaged(MeerkatError):
    code = "REALM_DAMAGED"


class StorageFull(MeerkatError):
    """Nothing of the request was written."""

    code = "STORAGE_FULL"


class StorageFailed(MeerkatError):
    """Nothing of the request was written."""

    code = "STORAGE_ERROR"


class StorageUnknown(MeerkatError):
    """The commit itself failed: whether it happened is known only after the realm is opened again."""

    code = "STORAGE_UNKNOWN"


class Overloaded(MeerkatError):
    code = "OVERLOADED"


class RequestTooLarge(MeerkatError):
    code = "REQUEST_TOO_LARGE"


class VersionMismatch(MeerkatError):
    code = "VERSION_MISMATCH"


class DaemonUnavailable(MeerkatError):
    code = "DAEMON_UNAVAILABLE"


class ShuttingDown(MeerkatError):
    code = "SHUTTING_DOWN"


class PermissionDenied(MeerkatError):
    code = "PERMISSION_DENIED"


def from_os_error(error: OSError, *, doing: str) -> MeerkatError:
    """The domain error for a refusal by the operating system; nothing was written.

    Args:
        doing: what was attempted, to follow "could not", e.g. "create the realm's folder".
    """
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else None
    reason = os.strerror(error.errno).lower() if error.errno else "it failed"
    message = f"Could not {doing}: {reason}{f' ({path})' if path else ''}."
    details = {"path": path, "errno": errno.errorcode.get(error.errno or 0)}
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(message, details=details)
    if error.errno in (errno.EACCES, errno.EPERM):
        return PermissionDenied(message, details=details, hint="Look at owner and mode of the path that is named.")
    return StorageFailed(message, details=details)
