"""Rows of the database as values of the port, and back. No I/O here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..api import KeyRow, SessionRow, ToolRow, TurnRow, UsageTotals
from .schema import unpacked

USAGE_COLUMNS = "input_tokens, output_tokens, cache_creation_tokens, cache_read_tokens"
SESSION_COLUMNS = (
    "session_id, created_ms, updated_ms, message_count, turn_count, event_seq, archived_ms, labels, meta, "
    + USAGE_COLUMNS
)
# `turns` has the session only by its key: statements join `sessions` as `s` and `turns` as `t`.
TURN_COLUMNS = (
    "t.id, s.session_id, t.turn_id, t.state, t.started_ms, t.ended_ms, t.prompt, t.holder, t.detail, "
    "t.input_tokens, t.output_tokens, t.cache_creation_tokens, t.cache_read_tokens"
)
TOOL_COLUMNS = "call_id, position, name, arguments, state, detail"
KEY_COLUMNS = "key, method, digest, session_id, turn_id, result, created_ms"

Row = Sequence[Any]


def usage_values(usage: UsageTotals) -> tuple[int, int, int, int]:
    return (usage.input_tokens, usage.output_tokens, usage.cache_creation_tokens, usage.cache_read_tokens)


def usage_totals(values: Row) -> UsageTotals:
    given, produced, created, read = values
    return UsageTotals(
        input_tokens=given, output_tokens=produced, cache_creation_tokens=created, cache_read_tokens=read
    )


def labels_text(labels: Mapping[str, str]) -> str:
    return json.dumps(dict(labels), ensure_ascii=False, separators=(",", ":"))


def session_row(row: Row) -> SessionRow:
    session_id, created, updated, messages, turns, events, archived, labels, meta, *usage = row
    return SessionRow(
        session_id=session_id,
        created_ms=created,
        updated_ms=updated,
        message_count=messages,
        turn_count=turns,
        event_seq=events,
        archived_ms=archived,
        usage=usage_totals(usage),
        labels=json.loads(labels),
        meta=meta,
    )


def turn_row(row: Row) -> TurnRow:
    rowid, session_id, turn_id, state, started, ended, prompt, holder, detail, *usage = row
    return TurnRow(
        turn_id=turn_id,
        session_id=session_id,
        ordinal=unpacked(rowid)[1],
        state=state,
        started_ms=started,
        ended_ms=ended,
        prompt=prompt,
        holder=holder,
        detail=detail,
        usage=usage_totals(usage),
    )


def tool_row(turn_id: str, row: Row) -> ToolRow:
    call_id, position, name, arguments, state, detail = row
    return ToolRow(
        turn_id=turn_id,
        call_id=call_id,
        position=position,
        name=name,
        arguments=arguments,
        state=state,
        detail=detail,
    )


def key_row(row: Row) -> KeyRow:
    key, method, digest, session_id, turn_id, result, created = row
    return KeyRow(
        key=key,
        method=method,
        digest=digest,
        session_id=session_id,
        turn_id=turn_id,
        result=result,
        created_ms=created,
    )
