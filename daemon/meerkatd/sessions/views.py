"""From rows to the shapes of the contract."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..agent.context_view import Compaction
from ..agent.limits import Limits
from ..agent.prices import NANOS
from ..agent.project_file import ProjectInstructions
from ..contract.budget import Budget
from ..contract.session import CompactionInfo, ProjectFile, SessionSummary
from ..contract.turn import Holder, ToolCallRecord, TurnFailure, TurnInfo, Usage
from ..store.api import SessionRow, ToolRow, ToolState, TurnRow, UsageTotals
from .compacting import is_compaction
from .meta import SessionMeta

FATES: dict[ToolState, str] = {
    "declared": "never_ran",
    "started": "may_have_run",
    "ran": "ran",
    "failed": "ran",
}


def usage(totals: UsageTotals) -> Usage:
    shape: Usage = {
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "total_tokens": totals.total_tokens,
    }
    if totals.cache_creation_tokens:
        shape["cache_creation_tokens"] = totals.cache_creation_tokens
    if totals.cache_read_tokens:
        shape["cache_read_tokens"] = totals.cache_read_tokens
    return shape


def limits(document: Mapping[str, int]) -> Budget:
    """Limits in the units of the contract."""
    said = Limits.load(document)
    shape: Budget = {}
    if said.tokens is not None:
        shape["max_tokens"] = said.tokens
    if said.time is not None:
        shape["max_duration"] = said.time / 1000
    if said.tool_calls is not None:
        shape["max_tool_calls"] = said.tool_calls
    if said.cost is not None:
        shape["max_cost"] = said.cost / NANOS
    return shape


def summary(row: SessionRow, *, realm_id: str, backend: str, active: bool) -> SessionSummary:
    """A row of the list."""
    meta = SessionMeta.load(row.meta)
    shape: SessionSummary = {
        "session_id": row.session_id,
        "session_ref": f"{realm_id}:{row.session_id}",
        "created_at": row.created_ms // 1000,
        "updated_at": row.updated_ms // 1000,
        "message_count": row.message_count,
        "total_tokens": row.usage.total_tokens,
        "is_active": active,
        "archived": row.archived_ms is not None,
        "title": meta.title,
        "model": meta.model,
        "provider": meta.provider,
        "realm_id": realm_id,
        "backend": backend,
        "config_generation": meta.config_generation,
    }
    if meta.instance_id is not None:
        shape["instance_id"] = meta.instance_id
    if row.labels:
        shape["labels"] = dict(row.labels)
    return shape


def compaction(made: Compaction) -> CompactionInfo:
    """What stands for the older part of what the model sees."""
    return {
        "through": made.through,
        "summary": made.summary,
        "summary_tokens": made.summary_tokens,
        "at": made.at,
        "model": made.model,
    }


def project(read: ProjectInstructions) -> ProjectFile:
    """Which instructions of its project a session was given."""
    return {"path": read.path, "sha256": read.sha256, "bytes": read.size}


def turn_info(row: TurnRow, tools: Sequence[ToolRow]) -> TurnInfo:
    """A turn with its ledger."""
    holder: Holder = json.loads(row.holder)
    shape: TurnInfo = {
        "turn_id": row.turn_id,
        "session_id": row.session_id,
        "ordinal": row.ordinal,
        "state": row.state,
        "started_at_ms": row.started_ms,
        "holder": holder,
        "usage": usage(row.usage),
        "tool_calls": [tool_call(tool) for tool in tools],
    }
    if row.ended_ms is not None:
        shape["ended_at_ms"] = row.ended_ms
    if is_compaction(row):
        shape["kind"] = "compaction"
    error = error_of(row)
    if error is not None:
        shape["error"] = error
    return shape


def tool_call(row: ToolRow) -> ToolCallRecord:
    shape: Any = {
        "call_id": row.call_id,
        "name": row.name,
        "arguments": json.loads(row.arguments),
        "fate": FATES[row.state],
    }
    if row.state in ("ran", "failed"):
        shape["is_error"] = row.state == "failed"
    record: ToolCallRecord = shape
    return record


def error_of(row: TurnRow) -> TurnFailure | None:
    """The error with which a turn ended, as {code, message, details}."""
    detail: dict[str, Any] = json.loads(row.detail) if row.detail else {}
    error: TurnFailure | None = detail.get("error")
    return error
