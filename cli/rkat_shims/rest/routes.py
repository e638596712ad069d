"""The table: which verb and address stands for which method of the daemon. A new method is one more line.

Names in braces are params of the method. What is not in the path comes from the query for GET and DELETE, and from the
body for the others; `Idempotency-Key` is a header. Every method that is not here is in `NOT_OVER_REST`, with a reason.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

# How a route is answered: by the daemon as it is; by a turn; by the config, with preconditions; by a stream of events.
# To a webhook something is told, and the whole body is what happened.
Kind = Literal["call", "turn", "config", "events", "watch", "webhook"]


class Route(NamedTuple):
    """One line of the table.

    Attributes:
        method: of the daemon; its params and result are in the contract.
        status: of success.
        hidden: params that make no sense over HTTP, and are unknown here.
        scoped: the method wants the session as `scope`, and the cursor with its session.
    """

    verb: Literal["GET", "PUT", "POST", "PATCH", "DELETE"]
    path: str
    method: str
    kind: Kind = "call"
    status: int = 200
    hidden: frozenset[str] = frozenset()
    scoped: bool = False

    @property
    def has_body(self) -> bool:
        return self.verb in ("PUT", "POST", "PATCH")

    @property
    def uses_query(self) -> bool:
        """Fields are in the query, because there is no body, or because all of the body is one field."""
        return not self.has_body or self.kind == "webhook"

    @property
    def reads(self) -> bool:
        """Asking twice does nothing twice, so a lost connection to the daemon is no reason to fail."""
        return self.verb == "GET"


_EVENTS = frozenset(("session_events",))

ROUTES: tuple[Route, ...] = (
    Route("GET", "/approvals", "approval/list"),
    Route("GET", "/approvals/{approval_id}", "approval/get"),
    Route("POST", "/approvals/{approval_id}/decide", "approval/decide"),
    Route("GET", "/blobs/{blob_id}", "blob/get"),
    Route("GET", "/capabilities", "capabilities/get"),
    Route("GET", "/config", "config/get", "config"),
    Route("PATCH", "/config", "config/patch", "config"),
    Route("PUT", "/config", "config/set", "config"),
    Route("GET", "/config/schema", "config/schema"),
    Route("GET", "/config/watch", "config/watch", "watch"),
    Route("GET", "/daemon/status", "daemon/status"),
    Route("GET", "/mcp", "mcp/list"),
    Route("GET", "/models/catalog", "models/catalog"),
    Route("GET", "/realm", "realm/current"),
    Route("GET", "/realms", "realm/list"),
    Route("POST", "/realms", "realm/create"),
    Route("POST", "/realms/prune", "realm/prune"),
    Route("GET", "/realms/{realm_id}", "realm/show"),
    Route("DELETE", "/realms/{realm_id}", "realm/delete"),
    Route("GET", "/realms/{realm_id}/check", "realm/check"),
    Route("POST", "/realms/{realm_id}/convert", "realm/convert"),
    Route("GET", "/runtime/capabilities", "runtime/capabilities"),
    Route("GET", "/runtime/health", "runtime/health"),
    Route("GET", "/runtime/host_info", "runtime/host_info"),
    Route("GET", "/sessions", "session/list"),
    Route("POST", "/sessions", "session/create", "turn", hidden=_EVENTS),
    Route("GET", "/sessions/{session_id}", "session/read"),
    Route("DELETE", "/sessions/{session_id}", "session/archive"),
    Route("GET", "/sessions/{session_id}/events", "session/stream_open", "events"),
    Route("GET", "/sessions/{session_id}/events/latest", "events/latest_cursor", scoped=True),
    Route("GET", "/sessions/{session_id}/events/since", "events/list_since", scoped=True),
    Route(
        "POST",
        "/sessions/{session_id}/external-events",
        "session/external_event",
        "webhook",
        status=202,
        hidden=frozenset(("blocks",)),
    ),
    Route("POST", "/sessions/{session_id}/compact", "session/compact", "turn", hidden=_EVENTS),
    Route("POST", "/sessions/{session_id}/fork", "session/fork_at"),
    Route("GET", "/sessions/{session_id}/history", "session/history"),
    Route("POST", "/sessions/{session_id}/interrupt", "turn/interrupt"),
    Route("PATCH", "/sessions/{session_id}/labels", "session/label"),
    Route("POST", "/sessions/{session_id}/mcp/add", "mcp/add"),
    Route("POST", "/sessions/{session_id}/mcp/reload", "mcp/reload"),
    Route("POST", "/sessions/{session_id}/mcp/remove", "mcp/remove"),
    Route("POST", "/sessions/{session_id}/messages", "turn/start", "turn", hidden=_EVENTS),
    Route("GET", "/sessions/{session_id}/snapshot", "events/snapshot", scoped=True),
    Route("POST", "/sessions/{session_id}/system_context", "session/inject_context"),
    Route("GET", "/sessions/{session_id}/turn", "turn/read"),
    Route("POST", "/sessions/{session_id}/unarchive", "session/unarchive"),
    Route("GET", "/trash", "realm/trash"),
    Route("DELETE", "/trash", "realm/empty_trash"),
    Route("POST", "/trash/restore", "realm/restore"),
    Route("GET", "/usage", "usage/read"),
)

_FILES = "it writes or reads files of this machine; `rkat realms` does so"

NOT_OVER_REST: Mapping[str, str] = {
    "config/unwatch": "closing GET /config/watch ends the watch",
    "daemon/examine": "it is about files of this machine, and for `rkat doctor`, which runs there",
    "daemon/listen": "the door lives as long as the connection that asks for it; `rkat-rpc --live-ws` has one",
    "daemon/restart": "a web door does not end the process that all other clients use; `rkat daemon restart` does",
    "daemon/stop": "a web door does not end the process that all other clients use; `rkat daemon stop` does",
    "initialize": "rkat-rest sends it once, with the realm of its command line",
    "realm/backup": _FILES,
    "realm/export": _FILES,
    "realm/import": _FILES,
    "realm/restore_backup": _FILES,
    "session/stream_close": "closing GET /sessions/{session_id}/events ends the stream",
    "tools/register": "the daemon calls a tool over the connection that offers it, and HTTP has no way back",
}
