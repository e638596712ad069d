"""Realms full of sessions and messages, written through the storage port before a daemon starts."""

import functools
import json
import os
import time
from collections.abc import Awaitable, Callable

import trio

from meerkatd.ids import RealmId, new_session_id, new_turn_id, realm_folder_name
from meerkatd.realms import manifest as manifests
from meerkatd.realms.manifest import Manifest
from meerkatd.sessions.meta import SessionMeta
from meerkatd.store import backend
from meerkatd.store.api import NewMessage, RealmStore, SessionRow, TurnEnd, TurnRow, UsageTotals

REALM = "bench"
# Messages of one filling turn: large transactions, that still fit well into the log.
_TURN_MESSAGES = 5000
_CREATORS = 128


def filled(state_root: str, fill: Callable[[RealmStore], Awaitable[None]]) -> None:
    """Make the realm `REALM` and let `fill` write into its store."""
    trio.run(functools.partial(_filled, state_root, fill))


async def _filled(state_root: str, fill: Callable[[RealmStore], Awaitable[None]]) -> None:
    folder = os.path.join(state_root, "realms", realm_folder_name(RealmId(REALM)))
    manifest = Manifest(realm_id=RealmId(REALM), backend="sqlite", origin="explicit", created_at=int(time.time()))
    os.makedirs(state_root, mode=0o700, exist_ok=True)
    manifests.create(folder, manifest)
    store = await backend("sqlite").open(folder, create=True)
    try:
        await fill(store)
    finally:
        with trio.CancelScope(shield=True):
            await store.aclose()


def session_row(number: int = 0) -> SessionRow:
    """An idle session; a higher number is newer."""
    at_ms = 1_700_000_000_000 + number
    meta = SessionMeta(model="scripted-1", provider="scripted", title=f"Session {number}", surface="sdk")
    return SessionRow(session_id=new_session_id(), created_ms=at_ms, updated_ms=at_ms, meta=meta.dump())


def turn_row(session_id: str, ordinal: int) -> TurnRow:
    return TurnRow(
        turn_id=new_turn_id(),
        session_id=session_id,
        ordinal=ordinal,
        state="running",
        started_ms=1_700_000_000_000,
        prompt='"hello"',
        holder='{"surface":"sdk","client":"bench"}',
    )


def turn_end(turn: TurnRow, messages: list[NewMessage]) -> TurnEnd:
    return TurnEnd(
        turn_id=turn.turn_id,
        session_id=turn.session_id,
        state="completed",
        ended_ms=turn.started_ms + 1,
        detail='{"result":{}}',
        messages=messages,
        usage=UsageTotals(),
        event_seq=0,
    )


def message(number: int, text_bytes: int) -> NewMessage:
    """Message `number` of a conversation: prompts at even numbers, answers at odd ones."""
    at = "2026-01-01T00:00:00Z"
    if number % 2 == 0:
        body: object = {"role": "user", "content": f"{number} ".ljust(text_bytes, "q"), "created_at": at}
        return NewMessage(role="user", body=json.dumps(body, separators=(",", ":")))
    blocks = [{"block_type": "text", "data": {"text": f"{number} ".ljust(text_bytes, "a")}}]
    body = {"role": "block_assistant", "blocks": blocks, "stop_reason": "end_turn", "created_at": at}
    return NewMessage(role="block_assistant", body=json.dumps(body, separators=(",", ":")))


async def add_session(store: RealmStore, messages: int, *, text_bytes: int = 100) -> str:
    """A session of so many messages; its id."""
    row = session_row()
    await store.create_session(row)
    for ordinal, first in enumerate(range(0, messages, _TURN_MESSAGES)):
        turn = turn_row(row.session_id, ordinal)
        await store.begin_turn(turn, event_seq=0)
        upto = min(messages, first + _TURN_MESSAGES)
        await store.end_turn(turn_end(turn, [message(number, text_bytes) for number in range(first, upto)]))
    return row.session_id


async def add_sessions(store: RealmStore, count: int) -> list[str]:
    """So many empty sessions; their ids, oldest first."""
    rows = [session_row(number) for number in range(count)]

    async def create(first: int) -> None:
        for row in rows[first::_CREATORS]:
            await store.create_session(row)

    async with trio.open_nursery() as nursery:
        for first in range(_CREATORS):
            nursery.start_soon(create, first)
    return [row.session_id for row in rows]
