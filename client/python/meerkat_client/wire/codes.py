"""The one error table: every error that any surface can show, and nothing else.

One row says, for one error: its string code, its JSON-RPC number, its HTTP status, the exit status of the CLI, whether
the same request may succeed when it is simply sent again, and who has to act. Clients and the daemon test by `code`,
never by number (two codes may share one) and never by text. The numbers of the public codes are those of the Meerkat
contract; codes of our own use -32040 and below, which that contract leaves free.
"""

from typing import Literal, NamedTuple

Fault = Literal["caller", "state", "provider", "environment", "daemon"]


class ErrorRow(NamedTuple):
    """One row of the table.

    Attributes:
        code: the string by which programs recognise the error.
        rpc: JSON-RPC number.
        http: HTTP status.
        exit: exit status of the CLI.
        retryable: the same request, sent again later and unchanged, may succeed.
        fault: who has to act: the caller, the state of the session or realm, the model's provider, the machine or
            network around us, or the daemon itself (a bug).
        summary: one sentence for the reference.
        hint: what a person can do next, when the error itself has no better one.
    """

    code: str
    rpc: int
    http: int
    exit: int
    retryable: bool
    fault: Fault
    summary: str
    hint: str


# fmt: off
_ROWS = (
    ErrorRow("PARSE_ERROR", -32700, 400, 2, False, "caller", "The bytes are not a well-formed message.",
             "Send one strict CBOR (or JSON) object per frame."),
    ErrorRow("INVALID_REQUEST", -32600, 400, 2, False, "caller", "Well-formed, but not a JSON-RPC 2.0 request.",
             "Send {jsonrpc: \"2.0\", id, method, params}; the first request is initialize."),
    ErrorRow("METHOD_NOT_FOUND", -32601, 404, 2, False, "caller", "This daemon has no such method.",
             "initialize lists the methods of this daemon."),
    ErrorRow("INVALID_PARAMS", -32602, 400, 2, False, "caller", "A parameter is missing, unknown or malformed.",
             "Mend the field that the message names."),
    ErrorRow("CONFIG_CONFLICT", -32602, 409, 15, False, "state", "The config has another generation than expected.",
             "Read the config again and repeat the change on what you find."),
    ErrorRow("INTERNAL_ERROR", -32603, 500, 1, False, "daemon", "Something that should not happen did.",
             "Look up the reference id in `rkat daemon logs` and report it."),
    ErrorRow("SESSION_NOT_FOUND", -32001, 404, 10, False, "caller", "The realm has no such session.",
             "`rkat sessions list` shows what there is; another --realm has other sessions."),
    ErrorRow("SESSION_BUSY", -32002, 409, 11, True, "state", "A turn is running in this session.",
             "Wait for it, follow it with `rkat sessions attach`, or stop it with `rkat sessions interrupt`."),
    ErrorRow("SESSION_NOT_RUNNING", -32003, 409, 12, False, "state", "No turn is running in this session.",
             "Start one with `rkat resume`, or read it with `rkat sessions history`."),
    ErrorRow("DUPLICATE_INPUT", -32004, 409, 13, False, "caller",
             "This idempotency key or request id was used for a different request.",
             "Use a fresh key for a new request."),
    ErrorRow("REQUEST_CANCELLED", -32005, 499, 14, False, "caller", "The turn or request was cancelled.",
             "What was produced is kept; go on with `rkat resume`."),
    ErrorRow("BLOB_NOT_FOUND", -32602, 404, 18, False, "caller", "The realm has no such blob.",
             "Take the blob_id from a message of this realm; another --realm has other blobs."),
    ErrorRow("PROVIDER_ERROR", -32010, 502, 20, True, "provider", "The model's provider failed or refused.",
             "The session is kept; try again with `rkat resume`, or choose another --model."),
    ErrorRow("BUDGET_EXHAUSTED", -32011, 429, 21, False, "state", "A limit of this turn or session is used up.",
             "Raise the limit; what was produced is kept."),
    ErrorRow("AGENT_ERROR", -32013, 500, 30, False, "state", "The agent could not finish the turn.",
             "The session is kept; read it with `rkat sessions history`."),
    ErrorRow("STRUCTURED_OUTPUT_INVALID", -32064, 422, 32, True, "provider",
             "The model's answer does not fit the output schema.",
             "Read what it answered with `rkat sessions history`; ask again, relax the schema, or choose another "
             "--model."),
    ErrorRow("CAPABILITY_UNAVAILABLE", -32020, 501, 40, False, "environment", "This daemon lacks what is asked for.",
             "Do what the message says to install or enable it."),
    ErrorRow("STALE_CURSOR", -32027, 410, 47, False, "state", "The cursor does not belong to this session's events.",
             "Ask for the latest cursor, or open the stream without one."),
    ErrorRow("SESSION_ARCHIVED", -32040, 409, 16, False, "state", "The session is archived and takes no changes.",
             "`rkat sessions unarchive` brings it back."),
    ErrorRow("TURN_LOST", -32041, 500, 31, False, "environment",
             "The daemon or its disk failed before the end of the turn was stored.",
             "The session can be used at once; its history tells what had run."),
    ErrorRow("REALM_NOT_FOUND", -32042, 404, 50, False, "caller", "There is no such realm.",
             "`rkat realms list` shows what there is."),
    ErrorRow("REALM_BACKEND_MISMATCH", -32043, 409, 51, False, "state", "The realm is pinned to another backend.",
             "Leave the backend out, or use another realm."),
    ErrorRow("BACKEND_UNAVAILABLE", -32044, 501, 52, False, "environment", "This storage backend is not installed.",
             "Install it as the message says, or use sqlite."),
    ErrorRow("REALM_TOO_NEW", -32045, 409, 53, False, "environment", "A newer program wrote this realm.",
             "Upgrade meerkatd to at least the version that the message names."),
    ErrorRow("REALM_IN_USE", -32046, 409, 54, True, "state", "Connections or turns are using the realm.",
             "Close them first, or force it."),
    ErrorRow("REALM_DAMAGED", -32047, 500, 55, False, "environment", "The realm's files contradict each other.",
             "Nothing was changed. Restore the realm from a copy, or move its folder away to start afresh."),
    ErrorRow("STORAGE_FULL", -32048, 507, 60, True, "environment", "The disk is full; nothing was changed.",
             "Free some space and try again."),
    ErrorRow("STORAGE_ERROR", -32049, 500, 61, True, "environment", "The disk or its permissions refused.",
             "Look at the path that the message names."),
    ErrorRow("STORAGE_UNKNOWN", -32050, 500, 62, False, "environment",
             "The disk failed while committing: it may or may not have happened.",
             "Read the session before you repeat the request; an idempotency key makes repeating safe."),
    ErrorRow("OVERLOADED", -32051, 503, 63, True, "state", "Too many requests are in flight.",
             "Wait for some replies first."),
    ErrorRow("REQUEST_TOO_LARGE", -32052, 413, 64, False, "caller", "The request is larger than a frame may be.",
             "Send less at once: put large material into files that the agent can read."),
    ErrorRow("PROVIDER_NOT_CONFIGURED", -32053, 400, 23, False, "environment", "No model can be used as things are.",
             "Set a provider's key, pull the local model, or name a server in the config."),
    ErrorRow("DAEMON_UNAVAILABLE", -32054, 503, 70, True, "environment", "The daemon cannot be reached or started.",
             "`rkat daemon status` and `rkat daemon logs` tell more."),
    ErrorRow("VERSION_MISMATCH", -32055, 426, 71, False, "environment", "Client and daemon do not share a protocol.",
             "`rkat daemon restart` starts the daemon of the installed version."),
    ErrorRow("SHUTTING_DOWN", -32056, 503, 72, True, "state", "The daemon is stopping and takes no new work.",
             "Try again in a moment; a new daemon starts by itself."),
    ErrorRow("PERMISSION_DENIED", -32057, 403, 77, False, "environment", "Owner or mode of a file or peer is wrong.",
             "Look at the path that the message names."),
    ErrorRow("CONFIG_INVALID", -32058, 500, 17, False, "environment", "A config file cannot be used as it is.",
             "Mend the file at the place that the message names."),
    ErrorRow("REALM_EXISTS", -32059, 409, 56, False, "state", "A realm with this id exists already.",
             "Delete that one first; it goes to the trash."),
    ErrorRow("APPROVAL_NOT_FOUND", -32080, 404, 80, False, "caller", "The realm has no such approval.",
             "`rkat approvals list` shows what waits for an answer; another --realm has other approvals."),
    ErrorRow("APPROVAL_DECIDED", -32081, 409, 81, False, "state", "The approval has its answer already.",
             "The first answer counts; the details say who gave it and when."),
    ErrorRow("UNAUTHORIZED", -32070, 401, 78, False, "caller", "The request does not carry the right token.",
             "Send `Authorization: Bearer TOKEN`; `rkat-rest` says where the token is when it starts."),
    ErrorRow("NOT_FOUND", -32071, 404, 2, False, "caller", "There is nothing at this address.",
             "GET /openapi.json lists what there is."),
    ErrorRow("METHOD_NOT_ALLOWED", -32072, 405, 2, False, "caller", "This address does not take this HTTP method.",
             "The header Allow lists those that it takes."),
)

# fmt: on

TABLE: dict[str, ErrorRow] = {row.code: row for row in _ROWS}


def row(code: str) -> ErrorRow:
    """The row of `code`; of INTERNAL_ERROR when a peer sends a code that this version does not know."""
    return TABLE.get(code, TABLE["INTERNAL_ERROR"])
