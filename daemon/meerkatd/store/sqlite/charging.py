"""Charges and approvals: their transactions and queries.

`charges` has every call, keyed like messages, so that they read in the order of recording; `usage_days` has their sums,
which is all that `usage` reads.
"""

from collections.abc import Sequence
from typing import Any

import apsw

from ..api import ApprovalRow, ApprovalState, ChargeRow, UsageRow
from ..spending import Sum, days, slot, usage_row
from .rows import usage_totals, usage_values
from .schema import SEQ_BITS, SEQ_LIMIT, packed, unpacked


def put_charges(db: apsw.Connection, rows: Sequence[ChargeRow], session_id: str | None = None) -> None:
    """Record charges; with `session_id`, of that session alone."""
    homes = {row.session_id for row in rows} | ({session_id} if session_id else set())
    if len(homes) > 1:
        raise ValueError("charges of several sessions cannot be recorded at once")
    for row in rows:
        session_key, turn = _place(db, row.session_id, row.turn_id)
        values = (row.charge_id, turn, row.at_ms, row.provider, row.model, *usage_values(row.usage))
        rest = (row.cost_nanos, row.estimated, row.time_ms, row.tool_calls)
        db.execute(_PUT_CHARGE, (_next_charge(db, session_key), *values, *rest))
        if db.changes():
            _sum_up(db, session_key, row)


_PUT_CHARGE = "INSERT INTO charges VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"


def _next_charge(db: apsw.Connection, session_key: int) -> int:
    span = (packed(session_key, 0), packed(session_key, SEQ_LIMIT - 1))
    last: Any = db.execute("SELECT max(id) FROM charges WHERE id >= ? AND id <= ?", span).get
    return packed(session_key, 0) if last is None else int(last) + 1


def _sum_up(db: apsw.Connection, session_key: int, row: ChargeRow) -> None:
    day, provider, model = slot(row)
    total = Sum().plus(row)
    counts = (total.cost_nanos, total.calls, total.calls_without_cost, total.estimated, total.time_ms, total.tool_calls)
    db.execute(_SUM_UP, (day, session_key, provider, model, *usage_values(row.usage), *counts))


_SUMS = (
    "input_tokens",
    "output_tokens",
    "cache_creation_tokens",
    "cache_read_tokens",
    "cost_nanos",
    "calls",
    "calls_without_cost",
    "estimated",
    "time_ms",
    "tool_calls",
)
_SUM_UP = f"""
    INSERT INTO usage_days VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
        {", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)}
"""


def charges(db: apsw.Connection, session_id: str, offset: int, limit: int) -> Sequence[ChargeRow]:
    session_key: Any = db.execute("SELECT session_key FROM sessions WHERE session_id = ?", (session_id,)).get
    if session_key is None or limit <= 0:
        return []
    span = (packed(session_key, offset), packed(session_key, min(offset + limit, SEQ_LIMIT) - 1))
    return [_charge_row(session_id, row) for row in db.execute(_CHARGES, span)]


_CHARGES = """
    SELECT c.charge_id, t.turn_id, c.at_ms, c.provider, c.model, c.cost_nanos, c.estimated, c.time_ms, c.tool_calls,
        c.input_tokens, c.output_tokens, c.cache_creation_tokens, c.cache_read_tokens
    FROM charges AS c JOIN turns AS t ON t.id = c.turn WHERE c.id >= ? AND c.id <= ? ORDER BY c.id
"""


def usage(
    db: apsw.Connection, since_ms: int | None, until_ms: int | None, session_id: str | None
) -> Sequence[UsageRow]:
    one = "" if session_id is None else " AND u.session_key = (SELECT session_key FROM sessions WHERE session_id = ?)"
    statement = (
        f"SELECT s.session_id, u.day, u.provider, u.model, {', '.join(f'u.{name}' for name in _SUMS)} "
        "FROM usage_days AS u JOIN sessions AS s ON s.session_key = u.session_key "
        f"WHERE u.day >= ? AND u.day <= ?{one} ORDER BY u.day, s.session_id, u.provider, u.model"
    )
    bindings = days(since_ms, until_ms) if session_id is None else (*days(since_ms, until_ms), session_id)
    return [_usage_row(row) for row in db.execute(statement, bindings)]


# -- approvals -----------------------------------------------------------------------------------------------


def put_approval(db: apsw.Connection, row: ApprovalRow) -> None:
    session_key, turn = _place(db, row.session_id, row.turn_id)
    earlier: Any = db.execute("SELECT turn FROM approvals WHERE approval_id = ?", (row.approval_id,)).get
    if earlier is not None and unpacked(earlier)[0] != session_key:
        raise ValueError(f"approval {row.approval_id} is another session's")
    values = (row.call_id, row.state, row.created_ms, row.decided_ms, row.body, row.decision)
    db.execute(_PUT_APPROVAL, (row.approval_id, turn, *values))


_PUT_APPROVAL = "INSERT OR REPLACE INTO approvals VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_APPROVALS = f"""
    SELECT a.approval_id, s.session_id, t.turn_id, a.call_id, a.state, a.created_ms, a.decided_ms, a.body, a.decision
    FROM approvals AS a JOIN turns AS t ON t.id = a.turn JOIN sessions AS s ON s.session_key = a.turn >> {SEQ_BITS}
"""


def approval(db: apsw.Connection, approval_id: str) -> ApprovalRow | None:
    row: Any = db.execute(f"{_APPROVALS} WHERE a.approval_id = ?", (approval_id,)).get
    return None if row is None else _approval_row(row)


def approvals(
    db: apsw.Connection, session_id: str | None, states: Sequence[ApprovalState], limit: int
) -> Sequence[ApprovalRow]:
    conditions: list[str] = []
    bindings: list[Any] = []
    if session_id is not None:
        conditions.append(f"a.turn >> {SEQ_BITS} = (SELECT session_key FROM sessions WHERE session_id = ?)")
        bindings.append(session_id)
    if states:
        conditions.append(f"a.state IN ({', '.join('?' * len(states))})")
        bindings += states
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    order = "ORDER BY a.created_ms DESC, a.approval_id DESC LIMIT ?"
    rows = db.execute(f"{_APPROVALS} {where} {order}", (*bindings, max(0, limit)))
    return [_approval_row(row) for row in rows]


# -- parts ---------------------------------------------------------------------------------------------------


def _place(db: apsw.Connection, session_id: str, turn_id: str) -> tuple[int, int]:
    """`(session_key, id of the turn)`."""
    session_key: Any = db.execute("SELECT session_key FROM sessions WHERE session_id = ?", (session_id,)).get
    if session_key is None:
        raise KeyError(session_id)
    turn: Any = db.execute("SELECT id FROM turns WHERE turn_id = ?", (turn_id,)).get
    if turn is None:
        raise KeyError(turn_id)
    if unpacked(turn)[0] != session_key:
        raise ValueError(f"turn {turn_id} is not a turn of session {session_id}")
    return session_key, turn


def _charge_row(session_id: str, row: Sequence[Any]) -> ChargeRow:
    charge_id, turn_id, at_ms, provider, model, cost_nanos, estimated, time_ms, tool_calls, *tokens = row
    return ChargeRow(
        charge_id=charge_id,
        session_id=session_id,
        turn_id=turn_id,
        at_ms=at_ms,
        provider=provider,
        model=model,
        usage=usage_totals(tokens),
        cost_nanos=cost_nanos,
        estimated=bool(estimated),
        time_ms=time_ms,
        tool_calls=tool_calls,
    )


def _usage_row(row: Sequence[Any]) -> UsageRow:
    session_id, day, provider, model, *sums = row
    cost, calls, without, estimated, time_ms, tool_calls = sums[4:]
    total = Sum(
        usage=usage_totals(sums[:4]),
        cost_nanos=cost,
        calls=calls,
        calls_without_cost=without,
        estimated=estimated,
        time_ms=time_ms,
        tool_calls=tool_calls,
    )
    return usage_row(session_id, (day, provider, model), total)


def _approval_row(row: Sequence[Any]) -> ApprovalRow:
    approval_id, session_id, turn_id, call_id, state, created_ms, decided_ms, body, decision = row
    return ApprovalRow(
        approval_id=approval_id,
        session_id=session_id,
        turn_id=turn_id,
        call_id=call_id,
        state=state,
        created_ms=created_ms,
        decided_ms=decided_ms,
        body=body,
        decision=decision,
    )
