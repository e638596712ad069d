"""Every query, as one synchronous function of the open realm."""

import os
from collections.abc import Sequence

from ..api import KeyRow, MessagePage, SessionQuery, SessionRow, StoreInfo, ToolRow, TurnRow
from . import rows
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
    if offset >= total or limit <= 0:
        return MessagePage(offset=offset, total=total, bodies=())
    places = files.offsets(home).messages
    bodies: list[str] = []
    with files.window(home) as window:
        for place in places[offset : offset + limit]:
            body = body_of(window.line(place))
            max_bytes -= len(body)
            if max_bytes < 0 and bodies:
                break
            bodies.append(body.decode())
    return MessagePage(offset=offset, total=total, bodies=bodies)


def turn(files: RealmFiles, turn_id: str) -> TurnRow | None:
    place = files.catalog.turns.get(turn_id)
    return None if place is None else _turn(files, *place)


def last_turn(files: RealmFiles, session_id: str) -> TurnRow | None:
    home = files.catalog.sessions.get(session_id)
    if home is None or home.row.turn_count == 0:
        return None
    return _turn(files, session_id, home.row.turn_count - 1)


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


def key(files: RealmFiles, text: str) -> KeyRow | None:
    held = files.catalog.keys.get(text)
    return None if held is None else held.row


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


def _turn(files: RealmFiles, session_id: str, ordinal: int) -> TurnRow:
    home = files.catalog.sessions[session_id]
    offsets = files.offsets(home)
    ended = offsets.ended[ordinal]
    with files.window(home) as window:
        begun = parse(window.line(offsets.begun[ordinal]))
        return rows.turn_row(session_id, begun, parse(window.line(ended)) if ended else None)
