"""Requests in, replies out: the only place at which an exception becomes an error on the wire.

A handler gets checked params and returns a result; what it raises is looked up in the one error table. What no row
covers is INTERNAL_ERROR with a reference id that the log repeats, and no library's text goes out.
"""

import difflib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError

from meerkat_client.wire.codes import row

from ..contract.base import Params, complaint
from ..contract.methods import METHODS
from ..errors import DaemonUnavailable, InvalidParams, InvalidRequest, MeerkatError, MethodNotFound
from ..ids import uuid7
from ..protocol.port import Call, ErrorObject, Peer, PeerGone
from . import (
    approval,
    blob,
    capability,
    config,
    connection,
    daemon,
    event,
    mcp,
    model,
    realm,
    runtime,
    session,
    stream,
    tool,
    turn,
    usage,
    web,
)
from .context import Context, Services

log = logging.getLogger(__name__)

# Longer keys, such as those of labels, are not repeated whole.
MAX_SHOWN_CHARS = 60

Handler = Callable[[Context, Any, Call], Awaitable[Any]]

HANDLERS: dict[str, Handler] = {
    "approval/decide": approval.decide,
    "approval/get": approval.get,
    "approval/list": approval.list_approvals,
    "blob/get": blob.get,
    "capabilities/get": capability.get,
    "config/get": config.get,
    "config/patch": config.patch,
    "config/schema": config.schema,
    "config/set": config.set_config,
    "config/unwatch": config.unwatch,
    "config/watch": config.watch,
    "daemon/examine": daemon.examine,
    "daemon/listen": daemon.listen,
    "daemon/restart": daemon.restart,
    "daemon/status": daemon.status,
    "daemon/stop": daemon.stop,
    "events/latest_cursor": event.latest_cursor,
    "events/list_since": event.list_since,
    "events/snapshot": event.snapshot,
    "initialize": connection.initialize,
    "mcp/add": mcp.add,
    "mcp/list": mcp.list_servers,
    "mcp/reload": mcp.reload,
    "mcp/remove": mcp.remove,
    "models/catalog": model.catalog,
    "realm/backup": realm.backup,
    "realm/check": realm.check,
    "realm/convert": realm.convert,
    "realm/create": realm.create,
    "realm/current": realm.current,
    "realm/delete": realm.delete,
    "realm/empty_trash": realm.empty_trash,
    "realm/export": realm.export,
    "realm/import": realm.import_file,
    "realm/list": realm.list_realms,
    "realm/prune": realm.prune,
    "realm/restore": realm.restore,
    "realm/restore_backup": realm.restore_backup,
    "realm/show": realm.show,
    "realm/trash": realm.trash,
    "runtime/capabilities": runtime.capabilities,
    "runtime/health": runtime.health,
    "runtime/host_info": runtime.host_info,
    "session/archive": session.archive,
    "session/compact": session.compact,
    "session/create": session.create,
    "session/external_event": session.external_event,
    "session/fork_at": session.fork_at,
    "session/history": session.history,
    "session/inject_context": session.inject_context,
    "session/label": session.label,
    "session/list": session.list_sessions,
    "session/read": session.read,
    "session/stream_close": stream.close,
    "session/stream_open": stream.open_stream,
    "session/unarchive": session.unarchive,
    "tools/register": tool.register,
    "turn/interrupt": turn.interrupt,
    "turn/read": turn.read,
    "turn/start": turn.start,
    "usage/read": usage.read,
}
# What a person needs who wants to know, and to try again.
_IN_SAFE_MODE = frozenset(("initialize", "capabilities/get", "daemon/restart", "daemon/status", "daemon/stop"))
_PARAMS: dict[str, type[Params]] = {method.name: method.params for method in METHODS}


class MethodDispatcher:
    """`protocol.port.Dispatcher` over the table of handlers."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def conversation(self, peer: Peer) -> "MethodConversation":
        return MethodConversation(Context(self._services, peer))


class MethodConversation:
    """`protocol.port.Conversation`: one connection's requests."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def handle(self, call: Call) -> tuple[Any, ErrorObject | None]:
        try:
            return await self._carry_out(call), None
        except MeerkatError as error:
            return None, error_object(error)
        except PeerGone:
            # Nobody is left to be answered; the pump drops this reply.
            return None, error_object(InvalidRequest("The connection has ended."))
        except Exception as error:
            reference = uuid7()
            log.error("%s failed unexpectedly, reference %s", call.method, reference, exc_info=error)
            return None, error_object(
                MeerkatError("The daemon failed in a way that it should not.", details={"reference": reference})
            )

    def ended(self) -> None:
        self._context.ended()

    async def _carry_out(self, call: Call) -> Any:
        handler = HANDLERS.get(call.method)
        if handler is None:
            near = difflib.get_close_matches(call.method, HANDLERS, n=1)
            raise MethodNotFound(
                f"There is no method {call.method!r}{f'; did you mean {near[0]!r}?' if near else '.'}",
                details={"method": call.method},
            )
        if not self._context.peer.local:
            web.check(call.method, call.params or {})
        refuse_in_safe_mode(self._context.services, call.method)
        params = check_params(_PARAMS[call.method], call.params)
        realm_bound = self._context.bound
        if realm_bound is None:
            return await handler(self._context, params, call)
        with realm_bound.in_use():
            return await handler(self._context, params, call)


def refuse_in_safe_mode(services: Services, method: str) -> None:
    """Raises DaemonUnavailable, with what to do, for whatever may touch a realm while none is to be opened."""
    crashes = services.safe_mode
    if crashes is None or method in _IN_SAFE_MODE:
        return
    raise DaemonUnavailable(
        f"The daemon crashed {len(crashes.times())} times within a minute and is in safe mode: it opens no realm.",
        details={"safe_mode": True, "crashes": crashes.times(), "log_path": str(services.settings.log_path)},
        hint="`rkat daemon logs` tells what happened. `rkat daemon restart` tries again.",
    )


def check_params(shape: type[Params], params: dict[str, Any] | None) -> Params:
    """Check params against their shape.

    Raises:
        InvalidParams: naming the first bad field by its path, and for an unknown one the nearest that is known.
    """
    try:
        return shape.model_validate(params or {})
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        # A misspelt name is the cause, the missing field only its effect.
        first = next((each for each in problems if each["type"] == "extra_forbidden"), None)
        if first is None:
            # Of several things that a field may be, the one that came farthest is the one that was meant.
            first = max(problems, key=lambda each: len(fields_of(each["loc"])))
        path = ".".join(_clipped(str(part)) for part in fields_of(first["loc"])) or "params"
        message = complaint(first)
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(first["loc"][-1]), shape.model_fields, n=1)
            message = f"unknown field{f'; did you mean {near[0]!r}?' if near else ''}"
        raise InvalidParams(
            f"{path}: {message}.".replace("..", "."),
            details={"field": path, "problems": len(problems)},
        ) from None


def _clipped(part: str) -> str:
    return part if len(part) <= MAX_SHOWN_CHARS else f"{part[:MAX_SHOWN_CHARS]}…"


def fields_of(place: tuple[int | str, ...]) -> list[int | str]:
    """What the caller wrote of pydantic's path: without branches of unions, and the tags of blocks in a list."""
    parts: list[int | str] = []
    for part in place:
        if not _is_branch(part) and not (parts and isinstance(parts[-1], int) and part in ("text", "image")):
            parts.append(part)
    return parts


def _is_branch(part: int | str) -> bool:
    """Whether a part of pydantic's path names a branch of a union and no field that the caller wrote."""
    return isinstance(part, str) and ("[" in part or part in ("str", "PromptText"))


def error_object(error: MeerkatError) -> ErrorObject:
    """The `error` member of a reply."""
    entry = row(error.code)
    return {
        "code": entry.rpc,
        "message": error.message,
        "data": {
            "code": error.code,
            "message": error.message,
            "details": {**error.details, "hint": error.hint, "retryable": entry.retryable},
        },
    }
