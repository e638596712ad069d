"""Every query, as one synchronous function of the open realm."""

import os
from collections.abc import Generator, Sequence
from contextlib import closing
from heapq import nlargest

from ...errors import RealmDamaged
from ..api import (
    ApprovalRow,
    ApprovalState,
    ChargeRow,
    KeyRow,
    MessagePage,
    SessionQuery,
    SessionRow,
    StoreInfo,
    ToolRow,
    TurnRow,
    UsageRow,
)
from ..lineage import shared, spans
from ..spending import usage_rows
from . import rows
from .catalog import HeldApproval, Session
from .files import RealmFiles
from .layout import INDEX
from .record import body_of, parse
from .rows import FORMAT_VERSION


def session(files: RealmFiles, session_id: str) -> SessionRow | None:
    found = files.catalog.sessions.get(session_id)
    return None if found is None else found.row


def sessions(files: RealmFiles, query: SessionQuery) -> Sequence[SessionRow]:
    return files.catalog.page(query)


def sessions_by_prefix(files: RealmFiles, prefix: str, limit: int) -> Sequence[str]:
    return files.catalog.by_prefix(prefix, limit=limit)


def messages(files: RealmFiles, session_id: str, offset: int, limit: int, max_bytes: int) -> MessagePage:
    home = files.catalog.sessions[session_id]
    total = home.row.message_count
    bodies: list[str] = []
    with closing(_bodies(files, home, offset, min(total, offset + limit))) as found:
        for body in found:
            max_bytes -= len(body)
            if max_bytes < 0 and bodies:
                break
            bodies.append(body.decode())
    return MessagePage(offset=offset, total=total, bodies=bodies)


def _bodies(files: RealmFiles, home: Session, start: int, stop: int) -> Generator[bytes, None, None]:
    """Bodies of messages `start` to `stop` - 1, in UTF-8."""
    for name, first, end in spans(home.lineage, home.session_id, start, stop):
        source = files.catalog.sessions[name]
        before = shared(source.lineage)
        places = files.offsets(source).messages[first - before : end - before]
        with files.window(source) as window:
            for place in places:
                yield body_of(window.line(place))


def turn(files: RealmFiles, turn_id: str) -> TurnRow | None:
    place = files.catalog.turns.get(turn_id)
    return None if place is None else _turn(files, *place)


def last_turn(files: RealmFiles, session_id: str) -> TurnRow | None:
    home = files.catalog.sessions.get(session_id)
    if home is None or home.row.turn_count == 0:
        return None
    return _turn(files, session_id, home.row.turn_count - 1)


def turns(files: RealmFiles, session_id: str, offset: int, limit: int) -> Sequence[TurnRow]:
    home = files.catalog.sessions.get(session_id)
    if home is None:
        return []
    return [_turn(files, session_id, number) for number in range(offset, min(home.row.turn_count, offset + limit))]


def lineage(files: RealmFiles, session_id: str) -> Sequence[tuple[str, int]]:
    home = files.catalog.sessions.get(session_id)
    return () if home is None else home.lineage


def running_turns(files: RealmFiles) -> Sequence[TurnRow]:
    homes = [home for home in files.catalog.sessions.values() if home.running]
    return [_turn(files, home.session_id, ordinal) for home in homes for ordinal in sorted(home.running)]


def tools(files: RealmFiles, turn_id: str) -> Sequence[ToolRow]:
    place = files.catalog.turns.get(turn_id)
    if place is None:
        return []
    session_id, ordinal = place
    home = files.catalog.sessions[session_id]
    lines = files.offsets(home).tools.get(ordinal, ())
    with files.window(home) as window:
        return rows.tool_rows([parse(window.line(line)) for line in lines])


def approval(files: RealmFiles, approval_id: str) -> ApprovalRow | None:
    held = files.catalog.approvals.get(approval_id)
    return None if held is None else _approval(files, held)


def approvals(
    files: RealmFiles, session_id: str | None, states: Sequence[ApprovalState], limit: int
) -> Sequence[ApprovalRow]:
    found = [
        (held.created_ms, approval_id)
        for approval_id, held in files.catalog.approvals.items()
        if session_id in (None, held.home) and (not states or held.state in states)
    ]
    newest = nlargest(limit, found)
    return [_approval(files, files.catalog.approvals[approval_id]) for _, approval_id in newest]


def charges(files: RealmFiles, session_id: str, offset: int, limit: int) -> Sequence[ChargeRow]:
    home = files.catalog.sessions.get(session_id)
    if home is None or home.spending is None or limit <= 0:
        return []
    lines = files.offsets(home).charges[offset : offset + limit]
    with files.window(home) as window:
        return [rows.charge_row(session_id, parse(window.line(line))) for line in lines]


def usage(files: RealmFiles, since_ms: int | None, until_ms: int | None, session_id: str | None) -> Sequence[UsageRow]:
    homes = files.catalog.sessions
    names = list(homes) if session_id is None else [session_id]
    found = [(name, homes[name].spending) for name in names if name in homes]
    spendings = [(name, spending) for name, spending in found if spending is not None]
    return usage_rows(spendings, since_ms=since_ms, until_ms=until_ms)


def key(files: RealmFiles, text: str) -> KeyRow | None:
    held = files.catalog.keys.get(text)
    return None if held is None else held.row


def keys(files: RealmFiles) -> Sequence[KeyRow]:
    return [held.row for held in files.catalog.keys.values()]


def problems(files: RealmFiles) -> Sequence[str]:
    """Reads every line of every log; lineages were checked when the realm was opened."""
    found = []
    for home in files.catalog.sessions.values():
        home.offsets = None
        try:
            places = files.offsets(home)
        except RealmDamaged as damage:
            found.append(damage.message)
            continue
        own = home.row.message_count - shared(home.lineage)
        if len(places.messages) != own:
            found.append(
                f"Session {home.session_id} says that it has {own} messages of its own, and has {len(places.messages)}."
            )
    return found


def info(files: RealmFiles) -> StoreInfo:
    catalog = files.catalog
    index = files.path(INDEX)
    size = catalog.realm.size + sum(home.size for home in catalog.sessions.values())
    return StoreInfo(
        backend="jsonl",
        sessions=len(catalog.sessions),
        messages=sum(home.row.message_count for home in catalog.sessions.values()),
        bytes_on_disk=size + (os.stat(index).st_size if os.path.exists(index) else 0),
        format_version=FORMAT_VERSION,
    )


def _approval(files: RealmFiles, held: HeldApproval) -> ApprovalRow:
    with files.window(files.catalog.sessions[held.home]) as window:
        return rows.approval_row(held.home, parse(window.line(held.offset)))


def _turn(files: RealmFiles, session_id: str, ordinal: int) -> TurnRow:
    home = files.catalog.sessions[session_id]
    offsets = files.offsets(home)
    ended = offsets.ended[ordinal]
    with files.window(home) as window:
        begun = parse(window.line(offsets.begun[ordinal]))
        return rows.turn_row(session_id, begun, parse(window.line(ended)) if ended else None)
