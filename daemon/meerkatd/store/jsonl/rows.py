"""Values of the port as records of a log, and back. No I/O here.

What each kind of line says is in the function that makes it. `FORMAT_VERSION` stands in the first line of every file;
a kind or a field is only ever added together with a new version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..api import (
    ApprovalRow,
    ChargeRow,
    KeyRow,
    NewMessage,
    SessionChange,
    SessionRow,
    ToolRow,
    TurnEnd,
    TurnRow,
    UsageTotals,
    keeps_prompt,
)
from .record import Record

FORMAT_VERSION = 2

Fields = Mapping[str, Any]
# See `store/lineage.py`; sources are told by their session's id.
Lineage = tuple[tuple[str, int], ...]

_NO_USAGE = UsageTotals()
_USAGE = ("input_tokens", "output_tokens", "cache_creation_tokens", "cache_read_tokens")


# -- to records ----------------------------------------------------------------------------------------------------


def realm_record(written_by: str) -> Record:
    """The first line of the realm's own log, and a later one when the realm has come to a newer format."""
    return Record("realm", {"format": FORMAT_VERSION, "written_by": written_by})


def prune_record(before_ms: int) -> Record:
    return Record("prune", {"before_ms": before_ms})


def session_record(row: SessionRow, lineage: Lineage = ()) -> Record:
    """The first line of a session's log. Only a fork has a lineage."""
    forked = {"lineage": lineage} if lineage else {}
    return Record("session", {"format": FORMAT_VERSION, **forked, **session_fields(row)})


def session_fields(row: SessionRow) -> dict[str, Any]:
    """All but the counts, which are counted."""
    return {
        "session_id": row.session_id,
        "created_ms": row.created_ms,
        "updated_ms": row.updated_ms,
        "event_seq": row.event_seq,
        "archived_ms": row.archived_ms,
        "usage": usage_fields(row.usage),
        "labels": dict(row.labels),
        "meta": row.meta,
    }


def turn_record(turn: TurnRow, *, updated_ms: int, event_seq: int, meta: str | None) -> Record:
    """A turn, written ahead; what it changes in its session comes along."""
    fields = {
        "ordinal": turn.ordinal,
        "turn_id": turn.turn_id,
        "state": turn.state,
        "started_ms": turn.started_ms,
        "ended_ms": turn.ended_ms,
        "updated_ms": updated_ms,
        "event_seq": event_seq,
        "usage": usage_fields(turn.usage),
        "prompt": turn.prompt,
        "holder": turn.holder,
        "detail": turn.detail,
        "meta": meta,
    }
    return Record("turn", fields)


def tool_record(row: ToolRow, *, ordinal: int) -> Record:
    fields = {
        "ordinal": ordinal,
        "turn_id": row.turn_id,
        "call_id": row.call_id,
        "position": row.position,
        "name": row.name,
        "state": row.state,
        "arguments": row.arguments,
        "detail": row.detail,
    }
    return Record("tool", fields)


def message_record(message: NewMessage, *, seq: int) -> Record:
    """`body` stays the last field: pages cut it out from between there and the crc."""
    return Record("message", {"seq": seq, "role": message.role, "body": message.body})


def turn_end_record(end: TurnEnd, *, ordinal: int) -> Record:
    """After the turn's messages, in their transaction."""
    fields = {
        "ordinal": ordinal,
        "turn_id": end.turn_id,
        "state": end.state,
        "ended_ms": end.ended_ms,
        "event_seq": end.event_seq,
        "messages": len(end.messages),
        "keeps_prompt": keeps_prompt(end),
        "usage": usage_fields(end.usage),
        "detail": end.detail,
        "meta": end.meta,
    }
    return Record("turn_end", fields)


def append_record(count: int, *, updated_ms: int) -> Record:
    """After messages that no turn has made, in their transaction: it counts them."""
    return Record("append", {"messages": count, "updated_ms": updated_ms})


def events_record(event_seq: int) -> Record:
    return Record("events", {"event_seq": event_seq})


def change_record(row: SessionRow, change: SessionChange) -> Record:
    """`row` as it is before."""
    archived_ms = row.archived_ms
    if change.archived is not None:
        archived_ms = (archived_ms or change.updated_ms) if change.archived else None
    labels = row.labels if change.labels is None else change.labels
    fields = {
        "updated_ms": change.updated_ms,
        "archived_ms": archived_ms,
        "labels": dict(labels),
        "meta": change.meta,
    }
    return Record("change", fields)


def charge_record(charge: ChargeRow, *, ordinal: int) -> Record:
    fields = {
        "ordinal": ordinal,
        "turn_id": charge.turn_id,
        "charge_id": charge.charge_id,
        "at_ms": charge.at_ms,
        "provider": charge.provider,
        "model": charge.model,
        "cost_nanos": charge.cost_nanos,
        "estimated": charge.estimated,
        "time_ms": charge.time_ms,
        "tool_calls": charge.tool_calls,
        "usage": usage_fields(charge.usage),
    }
    return Record("charge", fields)


def approval_record(row: ApprovalRow, *, ordinal: int) -> Record:
    """The whole of it each time; the last one counts."""
    fields = {
        "ordinal": ordinal,
        "turn_id": row.turn_id,
        "approval_id": row.approval_id,
        "call_id": row.call_id,
        "state": row.state,
        "created_ms": row.created_ms,
        "decided_ms": row.decided_ms,
        "body": row.body,
        "decision": row.decision,
    }
    return Record("approval", fields)


def key_record(key: KeyRow, *, prunes: int) -> Record:
    """`prunes` were carried out before, and only later ones concern this key."""
    return Record("key", {**key_fields(key), "prunes": prunes, "result": key.result})


def key_fields(key: KeyRow) -> dict[str, Any]:
    """All but the result, which is a document."""
    return {
        "key": key.key,
        "method": key.method,
        "digest": key.digest,
        "session_id": key.session_id,
        "turn_id": key.turn_id,
        "created_ms": key.created_ms,
    }


# -- to rows -------------------------------------------------------------------------------------------------------


def session_row(fields: Fields, **counts: int) -> SessionRow:
    return SessionRow(
        session_id=fields["session_id"],
        created_ms=fields["created_ms"],
        updated_ms=fields["updated_ms"],
        event_seq=fields["event_seq"],
        archived_ms=fields["archived_ms"],
        usage=usage_totals(fields["usage"]),
        labels=fields["labels"],
        meta=fields["meta"],
        **counts,
    )


def lineage_of(fields: Fields) -> Lineage:
    return tuple((source, end) for source, end in fields.get("lineage", ()))


def changed_row(row: SessionRow, kind: str, fields: Fields) -> SessionRow:
    """A session's row after one of its records."""
    meta = fields.get("meta")
    meta = row.meta if meta is None else meta
    event_seq = max(row.event_seq, fields.get("event_seq", 0))
    if kind == "append":
        return replace(row, message_count=row.message_count + fields["messages"], updated_ms=fields["updated_ms"])
    if kind == "turn":
        return replace(
            row, turn_count=row.turn_count + 1, updated_ms=fields["updated_ms"], event_seq=event_seq, meta=meta
        )
    if kind == "turn_end":
        return replace(
            row,
            message_count=row.message_count + fields["messages"],
            updated_ms=fields["ended_ms"],
            event_seq=fields["event_seq"],
            usage=row.usage + usage_totals(fields["usage"]),
            meta=meta,
        )
    if kind == "change":
        return replace(
            row,
            updated_ms=fields["updated_ms"],
            archived_ms=fields["archived_ms"],
            labels=fields["labels"],
            meta=meta,
        )
    return replace(row, event_seq=event_seq) if kind == "events" else row


def turn_row(session_id: str, begun: Fields, ended: Fields | None) -> TurnRow:
    """A turn from the line that began it and, when there is one, the line that ended it."""
    end = begun if ended is None else ended
    return TurnRow(
        turn_id=begun["turn_id"],
        session_id=session_id,
        ordinal=begun["ordinal"],
        state=end["state"],
        started_ms=begun["started_ms"],
        ended_ms=end["ended_ms"],
        prompt=begun["prompt"] if ended is None or ended["keeps_prompt"] else "",
        holder=begun["holder"],
        detail=end.get("detail"),
        usage=usage_totals(end["usage"]),
    )


def tool_rows(records: Sequence[Fields]) -> Sequence[ToolRow]:
    """The last word on each call, by position."""
    last = {fields["call_id"]: fields for fields in records}
    rows = [
        ToolRow(
            turn_id=fields["turn_id"],
            call_id=fields["call_id"],
            position=fields["position"],
            name=fields["name"],
            arguments=fields["arguments"],
            state=fields["state"],
            detail=fields.get("detail"),
        )
        for fields in last.values()
    ]
    return sorted(rows, key=lambda row: (row.position, row.call_id))


def charge_row(session_id: str, fields: Fields) -> ChargeRow:
    return ChargeRow(
        charge_id=fields["charge_id"],
        session_id=session_id,
        turn_id=fields["turn_id"],
        at_ms=fields["at_ms"],
        provider=fields["provider"],
        model=fields["model"],
        usage=usage_totals(fields["usage"]),
        cost_nanos=fields["cost_nanos"],
        estimated=fields["estimated"],
        time_ms=fields["time_ms"],
        tool_calls=fields["tool_calls"],
    )


def approval_row(session_id: str, fields: Fields) -> ApprovalRow:
    return ApprovalRow(
        approval_id=fields["approval_id"],
        session_id=session_id,
        turn_id=fields["turn_id"],
        call_id=fields["call_id"],
        state=fields["state"],
        created_ms=fields["created_ms"],
        decided_ms=fields["decided_ms"],
        body=fields["body"],
        decision=fields.get("decision"),
    )


def key_row(fields: Fields) -> KeyRow:
    return KeyRow(
        key=fields["key"],
        method=fields["method"],
        digest=fields["digest"],
        session_id=fields["session_id"],
        turn_id=fields["turn_id"],
        result=fields.get("result"),
        created_ms=fields["created_ms"],
    )


def usage_fields(usage: UsageTotals) -> dict[str, int]:
    """Without zeros: most lines that have a usage have an empty one."""
    return {name: value for name in _USAGE if (value := getattr(usage, name))}


def usage_totals(fields: Fields) -> UsageTotals:
    return UsageTotals(**fields) if fields else _NO_USAGE
