"""Every request of the two clients as a value: the method, its params, and what its result becomes. No I/O.

Whatever changes something carries an idempotency key, made up here unless the caller has one of its own. So a client
that lost its connection can ask again without anything being done twice, and gets the first outcome.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from .history import SessionHistory
from .options import CreateOptions, Prompt, TurnOptions, UsageOptions
from .results import Capability, InterruptResult, ModelsCatalog, RunResult, SessionDetails, SessionSummary

if TYPE_CHECKING:
    # Generated, and of a hundred shapes: what loads them pays for all.
    from .types import (
        Approval,
        BlobContent,
        ConfigEnvelope,
        ContextInjected,
        ExternalEventOutcome,
        McpChanged,
        McpServerInfo,
        SessionCompacted,
        SessionForked,
        UsageReport,
    )

T = TypeVar("T")
# Random bytes of a key: nobody else makes up the same one.
_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Ask(Generic[T]):
    """One request.

    Attributes:
        parse: what the reply's result becomes.
        repeatable: asking again after a lost connection does nothing twice.
        runs_turn: its reply may take hours, and taking it back interrupts a turn.
    """

    method: str
    params: Mapping[str, Any]
    parse: Callable[[Any], T]
    repeatable: bool = True
    runs_turn: bool = False

    def with_events(self, wanted: bool) -> "Ask[T]":
        """The same request, with or without the turn's events on its connection."""
        return replace(self, params={**self.params, "session_events": wanted})


def create(prompt: Prompt, options: CreateOptions) -> Ask[RunResult]:
    params = _keyed({"prompt": _prompt(prompt), **options, "session_events": False})
    return Ask("session/create", params, RunResult.parse, runs_turn=True)


def create_deferred(prompt: Prompt, options: CreateOptions) -> Ask[Mapping[str, Any]]:
    """Its result names the session: `session_id` and `session_ref`."""
    params = _keyed({"prompt": _prompt(prompt), **options, "initial_turn": "deferred"})
    return Ask("session/create", params, _plain)


def turn(session_id: str, prompt: Prompt, options: TurnOptions) -> Ask[RunResult]:
    params = _keyed({"session_id": session_id, "prompt": _prompt(prompt), **options, "session_events": False})
    return Ask("turn/start", params, RunResult.parse, runs_turn=True)


def interrupt(session_id: str, turn_id: str | None) -> Ask[InterruptResult]:
    # Asked again without a turn's id it could hit a turn that somebody began meanwhile.
    params = _given({"session_id": session_id, "turn_id": turn_id})
    return Ask("turn/interrupt", params, InterruptResult.parse, repeatable=turn_id is not None)


def list_sessions(
    labels: Mapping[str, str] | None, limit: int | None, offset: int | None, include_archived: bool
) -> Ask[list[SessionSummary]]:
    params = _given(
        {
            "labels": dict(labels) if labels else None,
            "limit": limit,
            "offset": offset,
            "include_archived": include_archived or None,
        }
    )
    return Ask("session/list", params, lambda page: [SessionSummary.parse(row) for row in page["sessions"]])


def read_session(session_id: str) -> Ask[SessionDetails]:
    return Ask("session/read", {"session_id": session_id}, SessionDetails.parse)


def history(session_id: str, offset: int, limit: int | None) -> Ask[SessionHistory]:
    params = _given({"session_id": session_id, "offset": offset, "limit": limit})
    return Ask("session/history", params, SessionHistory.parse)


def set_archived(session_id: str, archived: bool, idempotency_key: str | None) -> Ask[None]:
    method = "session/archive" if archived else "session/unarchive"
    return Ask(method, _keyed({"session_id": session_id, "idempotency_key": idempotency_key}), _nothing)


def label(session_id: str, labels: Mapping[str, str | None]) -> Ask[dict[str, str]]:
    return Ask("session/label", {"session_id": session_id, "labels": dict(labels)}, lambda result: result["labels"])


def inject_context(
    session_id: str, text: str, source: str | None, idempotency_key: str | None
) -> "Ask[ContextInjected]":
    content = {"type": "text", "text": text}
    params = {"session_id": session_id, "content": content, "source": source, "idempotency_key": idempotency_key}
    return Ask("session/inject_context", _keyed(params), lambda result: cast("ContextInjected", result))


def fork_at(session_id: str, message_index: int, idempotency_key: str | None) -> "Ask[SessionForked]":
    params = {"session_id": session_id, "message_index": message_index, "idempotency_key": idempotency_key}
    return Ask("session/fork_at", _keyed(params), lambda result: cast("SessionForked", result))


def compact(session_id: str, recent_turns: int | None, idempotency_key: str | None) -> "Ask[SessionCompacted]":
    params = {
        "session_id": session_id,
        "recent_turns": recent_turns,
        "session_events": False,
        "idempotency_key": idempotency_key,
    }
    return Ask("session/compact", _keyed(params), lambda result: cast("SessionCompacted", result), runs_turn=True)


def external_event(
    session_id: str,
    event_type: str,
    payload: Any,
    blocks: Sequence[Any] | None,
    source: str | None,
    idempotency_key: str | None,
) -> "Ask[ExternalEventOutcome]":
    params = {
        "session_id": session_id,
        "event_type": event_type,
        "blocks": list(blocks) if blocks is not None else None,
        "source": source,
        "idempotency_key": idempotency_key,
    }
    # None is a payload like any other.
    keyed = {**_keyed(params), "payload": payload}
    return Ask("session/external_event", keyed, lambda result: cast("ExternalEventOutcome", result))


def get_config(effective: bool) -> "Ask[ConfigEnvelope]":
    return Ask("config/get", {"effective": True} if effective else {}, _config)


def set_config(
    config: Mapping[str, Any], expected_generation: int | None, idempotency_key: str | None
) -> "Ask[ConfigEnvelope]":
    params = {"config": dict(config), "expected_generation": expected_generation, "idempotency_key": idempotency_key}
    return Ask("config/set", _keyed(params), _config)


def patch_config(
    patch: Mapping[str, Any], expected_generation: int | None, idempotency_key: str | None
) -> "Ask[ConfigEnvelope]":
    params = {"patch": dict(patch), "expected_generation": expected_generation, "idempotency_key": idempotency_key}
    return Ask("config/patch", _keyed(params), _config)


def usage(options: UsageOptions) -> "Ask[UsageReport]":
    return Ask("usage/read", _given({**options}), lambda result: cast("UsageReport", result))


def mcp_add(session_id: str, server_name: str, server_config: Mapping[str, Any], persisted: bool) -> "Ask[McpChanged]":
    params = {
        "session_id": session_id,
        "server_name": server_name,
        "server_config": dict(server_config),
        "persisted": persisted,
    }
    return Ask("mcp/add", params, lambda result: cast("McpChanged", result))


def mcp_remove(session_id: str, server_name: str, persisted: bool) -> "Ask[McpChanged]":
    params = {"session_id": session_id, "server_name": server_name, "persisted": persisted}
    # Asked again it would be refused: there is no such server any more.
    return Ask("mcp/remove", params, lambda result: cast("McpChanged", result), repeatable=False)


def mcp_reload(session_id: str, server_name: str | None) -> "Ask[McpChanged]":
    params = _given({"session_id": session_id, "server_name": server_name})
    return Ask("mcp/reload", params, lambda result: cast("McpChanged", result))


def mcp_list(session_id: str | None) -> "Ask[list[McpServerInfo]]":
    return Ask("mcp/list", _given({"session_id": session_id}), lambda result: result["servers"])


def list_approvals(session_id: str | None, states: Sequence[str] | None, limit: int | None) -> "Ask[list[Approval]]":
    params = {"session_id": session_id, "states": list(states) if states is not None else None, "limit": limit}
    return Ask("approval/list", _given(params), lambda result: result["approvals"])


def get_approval(approval_id: str) -> "Ask[Approval]":
    return Ask("approval/get", {"approval_id": approval_id}, lambda result: cast("Approval", result))


def decide_approval(approval_id: str, decision: str, reason: str | None) -> "Ask[Approval]":
    params = _given({"approval_id": approval_id, "decision": decision, "reason": reason})
    # Asked again it would be told of its own first answer.
    return Ask("approval/decide", params, lambda result: cast("Approval", result), repeatable=False)


def models_catalog() -> Ask[ModelsCatalog]:
    return Ask("models/catalog", {}, ModelsCatalog.parse)


def get_blob(blob_id: str) -> "Ask[BlobContent]":
    return Ask("blob/get", {"blob_id": blob_id}, lambda result: cast("BlobContent", result))


def capabilities() -> Ask[tuple[Capability, ...]]:
    return Ask("capabilities/get", {}, lambda result: tuple(Capability.parse(each) for each in result["capabilities"]))


def anything(method: str, params: Mapping[str, Any] | None) -> Ask[Any]:
    """A request of the caller's own. What it does is not known here, so it is never asked twice."""
    return Ask(method, params or {}, _plain, repeatable=False)


def _plain(result: Any) -> Any:
    return result


def _nothing(_: Any) -> None:
    return None


def _config(result: Any) -> "ConfigEnvelope":
    return cast("ConfigEnvelope", result)


def _prompt(prompt: Prompt) -> str | list[Any]:
    return prompt if isinstance(prompt, str) else list(cast(Sequence[Any], prompt))


def _given(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _keyed(params: dict[str, Any]) -> dict[str, Any]:
    given = _given(params)
    given.setdefault("idempotency_key", f"sdk-{os.urandom(_KEY_BYTES).hex()}")
    return given
