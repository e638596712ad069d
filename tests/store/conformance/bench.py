"""What the tests of the suite stand on: an open store, and short words for what they do with it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import trio

from meerkatd.ids import new_session_id, new_turn_id
from meerkatd.store import backend
from meerkatd.store.api import (
    ApprovalRow,
    Backend,
    ChargeRow,
    MessagePage,
    NewMessage,
    RealmStore,
    SessionQuery,
    SessionRow,
    TurnEnd,
    TurnRow,
    UsageTotals,
)

F = TypeVar("F", bound=Callable[..., Any])

# Longer than any test of this suite takes on a slow machine; a store that hangs fails by it.
PATIENCE_S = 30.0
BIG = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """One backend under test.

    Attributes:
        durable: what was written is there again after closing and opening.
    """

    name: str
    backend: Callable[[], Backend]
    durable: bool = True

    def __str__(self) -> str:
        return self.name


WIRINGS = (
    Wiring(name="sqlite", backend=lambda: backend("sqlite")),
    Wiring(name="jsonl", backend=lambda: backend("jsonl")),
    Wiring(name="memory", backend=lambda: backend("memory"), durable=False),
)


def durable(test: F) -> F:
    """Marks a test that closes the store and opens it again."""
    test.needs_durable = True  # type: ignore[attr-defined]
    return test


class Bench:
    """An open store, a clock that ticks by one at each use, and shorthands."""

    def __init__(self, backend: Backend, folder: str, store: RealmStore) -> None:
        self.backend = backend
        self.folder = folder
        self.store = store
        self._now = 1_700_000_000_000

    def tick(self) -> int:
        self._now += 1
        return self._now

    async def reopen(self) -> None:
        await self.store.aclose()
        self.store = await self.backend.open(self.folder, create=False)

    # -- writing --------------------------------------------------------------------------------------------------

    def session_row(self, **fields: Any) -> SessionRow:
        now = self.tick()
        given: dict[str, Any] = {"session_id": new_session_id(), "created_ms": now, "updated_ms": now}
        return SessionRow(**(given | fields))

    def turn_row(self, session_id: str, ordinal: int = 0, **fields: Any) -> TurnRow:
        given: dict[str, Any] = {
            "turn_id": new_turn_id(),
            "state": "running",
            "started_ms": self.tick(),
            "prompt": '{"text":"hello"}',
        }
        return TurnRow(session_id=session_id, ordinal=ordinal, **(given | fields))

    def turn_end(self, turn: TurnRow, *bodies: str, **fields: Any) -> TurnEnd:
        given: dict[str, Any] = {
            "turn_id": turn.turn_id,
            "session_id": turn.session_id,
            "state": "completed",
            "ended_ms": self.tick(),
            "detail": '{"text":"done"}',
            "messages": [NewMessage(role="user", body=body) for body in bodies],
            "usage": UsageTotals(),
            "event_seq": 0,
        }
        return TurnEnd(**(given | fields))

    def charge_row(self, turn: TurnRow, **fields: Any) -> ChargeRow:
        now = self.tick()
        given: dict[str, Any] = {
            "charge_id": f"charge-{now}",
            "session_id": turn.session_id,
            "turn_id": turn.turn_id,
            "at_ms": now,
            "provider": "p",
            "model": "m",
            "usage": UsageTotals(input_tokens=10, output_tokens=1),
            "cost_nanos": 1000,
            "estimated": False,
            "time_ms": 1200,
            "tool_calls": 2,
        }
        return ChargeRow(**(given | fields))

    def approval_row(self, turn: TurnRow, **fields: Any) -> ApprovalRow:
        now = self.tick()
        given: dict[str, Any] = {
            "approval_id": f"approval-{now}",
            "session_id": turn.session_id,
            "turn_id": turn.turn_id,
            "call_id": "call",
            "state": "pending",
            "created_ms": now,
            "body": '{"tool":"shell"}',
        }
        return ApprovalRow(**(given | fields))

    async def new_turn(self) -> TurnRow:
        """A running turn of a new session."""
        return await self.begin((await self.new_session()).session_id)

    async def new_session(self, **fields: Any) -> SessionRow:
        row = self.session_row(**fields)
        await self.store.create_session(row)
        return row

    async def begin(self, session_id: str, ordinal: int = 0, **fields: Any) -> TurnRow:
        row = self.turn_row(session_id, ordinal, **fields)
        await self.store.begin_turn(row, event_seq=0)
        return row

    async def append(self, session_id: str, *bodies: str) -> TurnRow:
        """A whole turn that appends `bodies`."""
        session = await self.stored(session_id)
        turn = await self.begin(session_id, session.turn_count)
        await self.store.end_turn(self.turn_end(turn, *bodies))
        return turn

    # -- reading --------------------------------------------------------------------------------------------------

    async def stored(self, session_id: str) -> SessionRow:
        row = await self.store.session(session_id)
        assert row is not None
        return row

    async def stored_turn(self, turn_id: str) -> TurnRow:
        row = await self.store.turn(turn_id)
        assert row is not None
        return row

    async def page(self, session_id: str, offset: int = 0, limit: int = 1000, max_bytes: int = BIG) -> MessagePage:
        return await self.store.messages(session_id, offset=offset, limit=limit, max_bytes=max_bytes)

    async def bodies(self, session_id: str) -> Sequence[str]:
        return list((await self.page(session_id)).bodies)

    async def listed(self, **query: Any) -> Sequence[str]:
        return [row.session_id for row in await self.store.sessions(SessionQuery(**query))]


@asynccontextmanager
async def bench_of(backend: Backend, folder: str) -> AsyncIterator[Bench]:
    with trio.fail_after(PATIENCE_S):
        bench = Bench(backend, folder, await backend.open(folder, create=True))
        try:
            yield bench
        finally:
            await bench.store.aclose()
