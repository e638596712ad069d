"""`index.jsonl`: what every session's file says, so that opening a realm need not read them all.

Written when the realm is idle or closed and enough has changed. It may be old and it may be missing: a file that has
grown since is read from where the index ends, and one that is not in it from the beginning. What it says is also a
witness: these bytes were on the disk, so a file that is shorter now has lost something.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ...errors import RealmDamaged
from ..disk import Disk
from ..spending import Spending, Sum
from . import rows
from .catalog import Catalog, HeldApproval, HeldKey, Session
from .record import Record, seal
from .rows import FORMAT_VERSION
from .scan import Scan

_log = logging.getLogger(__name__)

# The index is written anew when at least one session in so many has changed: to read the others' news at opening is
# cheaper than to write all lines at every pause.
WORTH_ONE_IN = 50


class Known(NamedTuple):
    """A session as the index has it. `keys` are in order."""

    session: Session
    turns: list[str]
    keys: list[HeldKey]
    approvals: dict[str, HeldApproval]


def is_worth_writing(catalog: Catalog) -> bool:
    changed = sum(session.indexed_ns is None for session in catalog.sessions.values())
    return changed * WORTH_ONE_IN >= max(1, len(catalog.sessions)) and changed > 0


def write(disk: Disk, path: str, catalog: Catalog) -> None:
    """Replace the index. Every session must have its `indexed_ns`. Raises OSError."""
    # Each line is a transaction, so that reading them takes the memory of one.
    lines = (seal([record], first=n, synced=n) for n, record in enumerate(_records(catalog)))
    disk.put(path, b"".join(line for (line,) in lines))


def _records(catalog: Catalog) -> Iterator[Record]:
    yield Record("index", {"format": FORMAT_VERSION})
    turns: dict[str, list[str]] = {}
    for turn_id, (session_id, _) in catalog.turns.items():
        turns.setdefault(session_id, []).append(turn_id)
    keys: dict[str, list[dict[str, Any]]] = {}
    for held in catalog.keys.values():
        fields = {**rows.key_fields(held.row), "result": held.row.result, "prunes": held.prunes}
        keys.setdefault(held.home, []).append(fields)
    approvals: dict[str, list[Sequence[Any]]] = {}
    for approval_id, asked in catalog.approvals.items():
        approvals.setdefault(asked.home, []).append((approval_id, asked.state, asked.created_ms, asked.offset))
    for session in catalog.sessions.values():
        row = session.row
        fields = {
            "size": session.size,
            "records": session.records,
            "last_crc": session.crc,
            "changed_ns": session.indexed_ns,
            "messages": row.message_count,
            "lineage": session.lineage,
            "running": sorted(session.running),
            "turns": turns.get(session.session_id, []),
            "keys": keys.get(session.session_id, []),
            "approvals": approvals.get(session.session_id, []),
            "sums": [] if session.spending is None else _sums(session.spending),
            "charges": [] if session.spending is None else list(session.spending.marks),
            **rows.session_fields(row),
            # As a string: there are many of these lines, and the plain parser reads them in a fifth of the time.
            "meta": None,
            "meta_text": row.meta,
        }
        yield Record("indexed", fields)


def read(disk: Disk, path: str) -> dict[str, Known]:
    """The index by session; empty when there is none that can be used.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        file = disk.reader(path)
    except FileNotFoundError:
        return {}
    known: dict[str, Known] = {}
    with file:
        try:
            for transaction in Scan(path, file).transactions():
                for line in transaction.lines:
                    fields = json.loads(line.raw)
                    if line.kind == "indexed":
                        known[fields["session_id"]] = _known(fields)
                    elif fields["format"] != FORMAT_VERSION:
                        return {}
        except RealmDamaged as error:
            _log.warning("Every session's file is read, for the index cannot be: %s", error.message)
            return {}
    return known


def _known(fields: dict[str, Any]) -> Known:
    turns = fields["turns"]
    fields["meta"] = fields["meta_text"]
    session = Session(
        size=fields["size"],
        records=fields["records"],
        crc=fields["last_crc"],
        row=rows.session_row(fields, message_count=fields["messages"], turn_count=len(turns)),
        running=tuple(fields["running"]),
        indexed_ns=fields["changed_ns"],
        spending=_spending(fields),
        lineage=rows.lineage_of(fields),
    )
    keys = [HeldKey(row=rows.key_row(key), home=session.session_id, prunes=key["prunes"]) for key in fields["keys"]]
    approvals = {
        approval_id: HeldApproval(home=session.session_id, state=state, created_ms=created_ms, offset=offset)
        for approval_id, state, created_ms, offset in fields["approvals"]
    }
    return Known(session, turns, keys, approvals)


def _sums(spending: Spending) -> list[Sequence[Any]]:
    return [
        (
            *place,
            rows.usage_fields(total.usage),
            total.cost_nanos,
            total.calls,
            total.calls_without_cost,
            total.estimated,
            total.time_ms,
            total.tool_calls,
        )
        for place, total in spending.sums.items()
    ]


def _spending(fields: dict[str, Any]) -> Spending | None:
    if not fields["charges"]:
        return None
    sums = {
        (day, provider, model): Sum(
            usage=rows.usage_totals(usage),
            cost_nanos=cost,
            calls=calls,
            calls_without_cost=without,
            estimated=estimated,
            time_ms=time_ms,
            tool_calls=tool_calls,
        )
        for day, provider, model, usage, cost, calls, without, estimated, time_ms, tool_calls in fields["sums"]
    }
    return Spending(sums, fields["charges"])
