"""What becomes of a turn that the daemon did not live to end.

Its row says "running", its prompt and each of its tool calls were written ahead. It is told as lost: the prompt joins
the transcript, and after it a notice of what ran, what may have run and what never ran, for people and for the model.
The prompt is not run again: only its caller can know whether that would be right.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import trio

from ..contract.message import AddedMessage, Message
from ..errors import StorageFailed, StorageFull, StorageUnknown
from ..ids import SessionId
from ..store.api import NewMessage, RealmStore, SessionRow, ToolRow, TurnEnd, TurnRow, UsageTotals
from . import views
from .clock import rfc3339
from .compacting import is_compaction
from .live import LiveSessions
from .meta import SessionMeta
from .session import Session

log = logging.getLogger(__name__)

# Names of tool calls listed in the notice; the ledger has all of them.
_LISTED = 20


async def settle_lost_turns(store: RealmStore, *, now_ms: int) -> int:
    """Settle every turn that is still "running" in a store that was opened just now. Returns how many there were."""
    lost = await store.running_turns()
    for turn in lost:
        await settle_lost_turn(store, turn, now_ms=now_ms)
    return len(lost)


class Unsettled:
    """Sessions whose last turn could not be stored when it ended: it is settled before anything else is written, and by
    whoever reads them, as soon as the disk takes it."""

    def __init__(self, *, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._sessions: dict[str, TurnEnd] = {}

    def add(self, session_id: str, end: TurnEnd) -> None:
        """Keep how the session's last turn ended."""
        self._sessions[session_id] = end

    async def settle_if_possible(self, store: RealmStore, live: LiveSessions, session_id: SessionId) -> None:
        """As `settle`, for somebody who only wants to read: while the disk still refuses they read what is there."""
        if session_id not in self._sessions:
            return
        async with live.hold(session_id) as session, session.changing:
            with trio.CancelScope(shield=True):
                try:
                    await self.settle(store, session)
                except (StorageFull, StorageFailed, StorageUnknown) as failure:
                    log.warning("a turn of %s still cannot be stored: %s", session_id, failure.message)

    async def settle(self, store: RealmStore, session: Session) -> None:
        """Settle the session's last turn when that is due. The caller holds `session.changing`."""
        if session.session_id not in self._sessions:
            return
        end = self._sessions[session.session_id]
        last = await store.turn(end.turn_id)
        if last is not None and last.state == "running":
            await store.end_turn(replace(end, ended_ms=max(end.ended_ms, self._now_ms())))
        # Also when there is nothing to settle: the commit whose outcome was unknown may have happened.
        row = await store.session(session.session_id)
        assert row is not None, "a session is never taken out of its store"
        session.replace_row(row)
        del self._sessions[session.session_id]


def not_written(unknown: StorageUnknown) -> StorageFailed:
    """The store was opened again and the request is not in it: now it is known that nothing was written."""
    return StorageFailed(f"The disk failed and nothing was written: {unknown.message}", details=unknown.details)


async def settle_lost_turn(store: RealmStore, turn: TurnRow, *, now_ms: int) -> None:
    """Settle one lost turn in one transaction: its session is whole and idle afterwards."""
    session = await store.session(turn.session_id)
    assert session is not None, "a turn's session exists: they are written in one transaction"
    tools = await store.tools(turn.turn_id)
    meta = SessionMeta.load(session.meta)
    asked = await store.approvals(session_id=turn.session_id, states=("pending",), limit=_LISTED)
    open_calls = [row.call_id for row in asked if row.turn_id == turn.turn_id]
    messages = lost_messages(turn, tools, meta.injected, now_ms=now_ms, open_calls=open_calls)
    bodies = [json.dumps(message, ensure_ascii=False, separators=(",", ":")) for message in messages]
    await store.end_turn(
        TurnEnd(
            turn_id=turn.turn_id,
            session_id=turn.session_id,
            state="lost",
            ended_ms=now_ms,
            detail=json.dumps({"error": lost_error(session, turn, tools)}, ensure_ascii=False, separators=(",", ":")),
            messages=[NewMessage(role=m["role"], body=body) for m, body in zip(messages, bodies, strict=True)],
            usage=UsageTotals(),
            event_seq=session.event_seq,
            meta=replace(meta, injected=()).dump() if meta.injected else None,
        )
    )


def lost_messages(
    turn: TurnRow,
    tools: Sequence[ToolRow],
    injected: Sequence[AddedMessage],
    *,
    now_ms: int,
    open_calls: Sequence[str] = (),
) -> list[Message]:
    """The lost turn's part of the transcript: its prompt, what was added while it ran, and what became of it."""
    if is_compaction(turn):
        return [*injected]
    return [
        {
            "role": "user",
            "content": json.loads(turn.prompt),
            "created_at": rfc3339(turn.started_ms),
            "run_id": turn.turn_id,
        },
        *injected,
        {
            "role": "system_notice",
            "kind": "generic",
            "body": lost_notice(tools, open_calls),
            "created_at": rfc3339(now_ms),
        },
    ]


def lost_notice(tools: Sequence[ToolRow], open_calls: Sequence[str] = ()) -> str:
    """What happened, in words. `open_calls` are those that waited for a person."""
    opening = "The turn was lost: the daemon or its disk failed before its end was stored. Its answer is not here."
    if not tools:
        return f"{opening} It had called no tool."
    parts = []
    for fate, words in (("ran", "ran"), ("may_have_run", "may have run"), ("never_ran", "never ran")):
        calls = [tool for tool in tools if views.FATES[tool.state] == fate]
        if calls:
            names = ", ".join(f"{tool.name} ({tool.call_id})" for tool in calls[:_LISTED])
            more = f" and {len(calls) - _LISTED} more" if len(calls) > _LISTED else ""
            parts.append(f"{words}: {names}{more}")
    told = f"{opening} Of its tool calls, {'; '.join(parts)}."
    names = ", ".join(f"{tool.name} ({tool.call_id})" for tool in tools if tool.call_id in open_calls)
    if not names:
        return told
    return f"{told} Approval of {names} was asked for and not given; an answer counts for the next such call."


def lost_error(session: SessionRow, turn: TurnRow, tools: Sequence[ToolRow]) -> dict[str, Any]:
    """The error that the turn's caller gets when it asks again by idempotency key."""
    return {
        "code": "TURN_LOST",
        "message": "The daemon or its disk failed before the turn's end was stored; the session can be used at once.",
        "details": {
            "session_id": session.session_id,
            "turn_id": turn.turn_id,
            "tool_calls": [views.tool_call(tool) for tool in tools],
        },
    }
