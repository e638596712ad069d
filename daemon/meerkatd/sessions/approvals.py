"""Approvals: questions whether a tool may run, each a durable row that any client can see and answer.

    pending ──allow──► allowed ──the call begins──► used
       │ └────deny──► denied
       └──the turn ends──► cancelled

The first answer counts. A question whose turn was lost with its daemon stays pending, and an answer to it is kept: the
next call of that session that is the same, tool and arguments, takes it, once. A person who said yes is not asked again
because of a crash, and never says yes to anything else.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import trio

from ..agent.approval import DENIED
from ..contract.approval import Approval, ApprovalState
from ..contract.event import EventPayload
from ..contract.message import ToolUseData
from ..contract.turn import Holder
from ..errors import ApprovalDecided, ApprovalNotFound, InvalidParams
from ..ids import uuid7
from ..store.api import ApprovalRow, RealmStore

# Rows of a session that are looked through for an answer that was kept.
_KEPT_LOOKED_THROUGH = 200
# Pending ones among which a shortened id has to be the only one.
_PENDING_LOOKED_THROUGH = 1000
MIN_PREFIX = 4


class RealmApprovals:
    """The approvals of one realm.

    Args:
        store: gives the realm's store; None while the realm does not exist.
        now_ms: the wall clock.
    """

    def __init__(self, store: Callable[[], Awaitable[RealmStore | None]], *, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms
        self._waiting: dict[str, trio.Event] = {}
        # Answers that a call is taking right now, so that no second one does.
        self._taken: set[str] = set()
        # Held from the look at a row to its change: the first answer counts, and a withdrawn question takes none.
        self._deciding = trio.Lock()

    def __repr__(self) -> str:
        return f"<RealmApprovals waiting={len(self._waiting)}>"

    async def list(self, *, session_id: str | None, states: Sequence[ApprovalState], limit: int) -> list[Approval]:
        """Approvals, newest first."""
        store = await self._store()
        if store is None:
            return []
        return [shown(row) for row in await store.approvals(session_id=session_id, states=states, limit=limit)]

    async def get(self, reference: str) -> Approval:
        """One approval, by its id or the beginning of it. Raises ApprovalNotFound, InvalidParams."""
        return shown(await self._find(reference))

    async def decide(self, reference: str, *, allow: bool, reason: str | None, by: Holder) -> Approval:
        """Answer a pending one; durable when this returns.

        Raises:
            ApprovalDecided: somebody was faster, or its turn has ended; `details` say who and when.
            ApprovalNotFound, InvalidParams.
        """
        approval_id = (await self._find(reference)).approval_id
        with trio.CancelScope(shield=True):
            row = await self._decide(approval_id, allow=allow, reason=reason, by=by)
        return shown(row)

    async def _decide(self, approval_id: str, *, allow: bool, reason: str | None, by: Holder) -> ApprovalRow:
        async with self._deciding:
            store = await self._store()
            row = await store.approval(approval_id) if store is not None else None
            if store is None or row is None:
                raise _no_approval(approval_id)
            if row.state != "pending":
                raise _decided(row)
            decision: dict[str, Any] = {"decision": "allow" if allow else "deny", "by": by}
            if reason:
                decision["reason"] = reason
            row = replace(
                row,
                state="allowed" if allow else "denied",
                decided_ms=self._now_ms(),
                decision=json.dumps(decision, ensure_ascii=False),
            )
            await store.put_approval(row)
            waiting = self._waiting.get(approval_id)
            if waiting is not None:
                waiting.set()
            return row

    async def _find(self, reference: str) -> ApprovalRow:
        store = await self._store()
        if store is None:
            raise _no_approval(reference)
        row = await store.approval(reference)
        if row is not None:
            return row
        pending = await store.approvals(states=("pending",), limit=_PENDING_LOOKED_THROUGH)
        found = [each for each in pending if each.approval_id.startswith(reference)]
        if len(reference) < MIN_PREFIX or not found:
            raise _no_approval(reference)
        if len(found) > 1:
            raise InvalidParams(
                f"approval_id: {reference!r} is the beginning of {len(found)} approvals.",
                details={"field": "approval_id", "matches": len(found)},
            )
        return found[0]

    async def ask(self, store: RealmStore, row: ApprovalRow, emit: Callable[[EventPayload], Any]) -> str | None:
        """Ask about a call and wait for the answer: None for yes, else what the model is told."""
        kept = await self._kept(store, row)
        try:
            if kept is None:
                return await self._ask(store, row, emit)
            if kept.state != "pending":
                return await self._use(store, kept)
            # The question of a lost turn is still open: it is this one.
            row = replace(row, approval_id=kept.approval_id, created_ms=kept.created_ms)
            return await self._ask(store, row, emit)
        finally:
            if kept is not None:
                self._taken.discard(kept.approval_id)

    async def _ask(self, store: RealmStore, row: ApprovalRow, emit: Callable[[EventPayload], Any]) -> str | None:
        answered = self._waiting[row.approval_id] = trio.Event()
        try:
            with trio.CancelScope(shield=True):
                await store.put_approval(row)
            emit({"type": "approval_requested", "approval": shown(row)})
            await answered.wait()
            decided = await store.approval(row.approval_id)
            assert decided is not None, "it was put a moment ago"
            emit({"type": "approval_decided", "approval": shown(decided)})
            return await self._use(store, decided)
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await self._withdraw(store, row.approval_id, emit)
            raise
        finally:
            self._waiting.pop(row.approval_id, None)

    async def _kept(self, store: RealmStore, row: ApprovalRow) -> ApprovalRow | None:
        """An answer to the same question that nobody has used, or the question itself if nobody waits for it."""
        digest = json.loads(row.body)["digest"]
        states: Sequence[ApprovalState] = ("allowed", "denied", "pending")
        for each in await store.approvals(session_id=row.session_id, states=states, limit=_KEPT_LOOKED_THROUGH):
            taken = each.approval_id in self._waiting or each.approval_id in self._taken or _used(each)
            if not taken and json.loads(each.body)["digest"] == digest:
                self._taken.add(each.approval_id)
                return each
        return None

    async def _use(self, store: RealmStore, row: ApprovalRow) -> str | None:
        """Take an answer: it counts for this call alone."""
        decision = json.loads(row.decision or "{}")
        allowed = row.state == "allowed"
        used = json.dumps({**decision, "used_at_ms": self._now_ms()}, ensure_ascii=False)
        with trio.CancelScope(shield=True):
            await store.put_approval(replace(row, state="used" if allowed else row.state, decision=used))
        if allowed:
            return None
        reason = decision.get("reason")
        return f"{DENIED} They said: {reason}" if reason else DENIED

    async def _withdraw(self, store: RealmStore, approval_id: str, emit: Callable[[EventPayload], Any]) -> None:
        async with self._deciding:
            row = await store.approval(approval_id)
            if row is None or row.state not in ("pending", "allowed"):
                return
            row = replace(row, state="cancelled", decided_ms=row.decided_ms or self._now_ms())
            await store.put_approval(row)
        emit({"type": "approval_decided", "approval": shown(row)})


class TurnApprovals:
    """`agent.approval.Approvals` for one turn."""

    def __init__(
        self,
        approvals: RealmApprovals,
        store: RealmStore,
        *,
        session_id: str,
        turn_id: str,
        emit: Callable[[EventPayload], Any],
        now_ms: Callable[[], int],
    ) -> None:
        self._approvals = approvals
        self._store = store
        self._session_id = session_id
        self._turn_id = turn_id
        self._emit = emit
        self._now_ms = now_ms

    async def ask(self, call: ToolUseData) -> str | None:
        body = {"tool": call["name"], "arguments": call["args"], "digest": digest_of(call["name"], call["args"])}
        row = ApprovalRow(
            approval_id=uuid7(),
            session_id=self._session_id,
            turn_id=self._turn_id,
            call_id=call["id"],
            state="pending",
            created_ms=self._now_ms(),
            body=json.dumps(body, ensure_ascii=False),
        )
        return await self._approvals.ask(self._store, row, self._emit)


def digest_of(name: str, arguments: dict[str, Any]) -> str:
    """Two calls with the same digest are the same."""
    text = json.dumps([name, arguments], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def shown(row: ApprovalRow) -> Approval:
    """A row in the shape of the contract."""
    body = json.loads(row.body)
    approval: Approval = {
        "approval_id": row.approval_id,
        "session_id": row.session_id,
        "turn_id": row.turn_id,
        "call_id": row.call_id,
        "tool": body["tool"],
        "arguments": body["arguments"],
        "state": row.state,
        "created_at_ms": row.created_ms,
    }
    if row.decided_ms is not None:
        approval["decided_at_ms"] = row.decided_ms
    decision = json.loads(row.decision) if row.decision else {}
    if "by" in decision:
        approval["decided_by"] = decision["by"]
    if "reason" in decision:
        approval["reason"] = decision["reason"]
    return approval


def _used(row: ApprovalRow) -> bool:
    return row.decision is not None and "used_at_ms" in json.loads(row.decision)


def _no_approval(reference: str) -> ApprovalNotFound:
    return ApprovalNotFound(f"There is no approval {reference!r} in this realm.", details={"approval_id": reference})


def _decided(row: ApprovalRow) -> ApprovalDecided:
    approval = shown(row)
    by = approval.get("decided_by")
    if row.state == "cancelled" or by is None:
        message = f"The approval {row.approval_id} was withdrawn: its turn has ended."
    else:
        said = "denied" if row.state == "denied" else "allowed"
        message = f"{by['client']} ({by['surface']}) has {said} this call already."
    return ApprovalDecided(message, details={**approval})
