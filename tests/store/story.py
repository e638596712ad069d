"""A short life of a realm, told to any store, with a record of what the store said to each write."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from meerkatd.errors import StorageFailed, StorageFull, StorageUnknown
from meerkatd.store.api import (
    Backend,
    ChargeRow,
    NewMessage,
    RealmStore,
    SessionRow,
    TurnEnd,
    TurnRow,
    UsageTotals,
)

SESSION = "01900000-0000-7000-8000-000000000001"
BODY = "x" * 700
# A fork follows the end of every so many turns, and the next one forks that fork.
FORK_EVERY = 6


def writes(turns: int) -> int:
    """How many writes a story of so many turns has."""
    return 1 + 2 * turns + 2 * (turns // FORK_EVERY)


@dataclass
class Record:
    """What was asked for and how it was answered.

    Attributes:
        written: names of writes that were acknowledged.
        refused: names of writes of which the store said that they did not happen.
        unknown: names of writes of which it did not know.
    """

    written: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)


def turn_id(number: int) -> str:
    return f"turn-{number}"


def turn_row(number: int, ordinal: int) -> TurnRow:
    return TurnRow(
        turn_id=turn_id(number),
        session_id=SESSION,
        ordinal=ordinal,
        state="running",
        started_ms=number + 1,
        prompt='"hello"',
    )


def turn_end(number: int) -> TurnEnd:
    bodies = (f"{number} user {BODY}", f"{number} assistant {BODY}")
    return TurnEnd(
        turn_id=turn_id(number),
        session_id=SESSION,
        state="completed",
        ended_ms=number + 1,
        detail="{}",
        messages=[NewMessage(role="user", body=body) for body in bodies],
        usage=UsageTotals(output_tokens=1),
        event_seq=number,
        charges=[charge_row(number)],
    )


def charge_row(number: int) -> ChargeRow:
    return ChargeRow(
        charge_id=f"charge-{number}",
        session_id=SESSION,
        turn_id=turn_id(number),
        at_ms=number + 1,
        provider="p",
        model="m",
        usage=UsageTotals(output_tokens=1),
        cost_nanos=1,
        estimated=False,
    )


def fork_id(number: int) -> str:
    return f"01900000-0000-7000-8000-0000000f{number:04x}"


class Story:
    """Create a session, then several turns, with a fork of what there is at some of them; each write is named, and its
    outcome goes into `record`."""

    def __init__(self, turns: int) -> None:
        self._turns = turns
        self.record = Record()
        self._forked: str | None = None

    async def tell(self, store: RealmStore) -> None:
        session = SessionRow(session_id=SESSION, created_ms=0, updated_ms=0)
        if not await self._ask("create", store.create_session, session):
            return
        for number in range(self._turns):
            ordinal = await self._turn_count(store)
            if ordinal is None:
                return
            if await self._ask(f"begin {number}", store.begin_turn, turn_row(number, ordinal), event_seq=number):
                ended = await self._ask(f"end {number}", store.end_turn, turn_end(number))
                if ended and (number + 1) % FORK_EVERY == 0:
                    await self._fork(store, number)

    async def _fork(self, store: RealmStore, number: int) -> None:
        """All of the session's messages or, every other time, all of the last fork's; and one of its own."""
        source = SESSION if self._forked is None else self._forked
        row = await self._row(store, source)
        if row is None:
            return
        fork = SessionRow(session_id=fork_id(number), created_ms=0, updated_ms=0)
        asked = {"source_id": source, "count": row.message_count}
        if not await self._ask(f"fork {number}", store.fork_session, fork, **asked):
            return
        self._forked = fork.session_id if source == SESSION else None
        own = [NewMessage(role="user", body=f"of fork {number}")]
        await self._ask(f"own {number}", store.append, fork.session_id, own, updated_ms=1)

    async def _ask(self, name: str, write: Callable[..., Awaitable[None]], *args: Any, **kwargs: Any) -> bool:
        try:
            await write(*args, **kwargs)
        except (StorageFailed, StorageFull):
            self.record.refused.add(name)
            return False
        except StorageUnknown:
            self.record.unknown.add(name)
            return False
        self.record.written.add(name)
        self.acknowledged(name)
        return True

    def acknowledged(self, name: str) -> None:
        """Called at the moment in which a write is acknowledged."""

    async def _turn_count(self, store: RealmStore) -> int | None:
        row = await self._row(store, SESSION)
        return None if row is None else row.turn_count

    async def _row(self, store: RealmStore, session_id: str) -> SessionRow | None:
        try:
            return await store.session(session_id)
        except (StorageFailed, StorageFull):
            return None


async def found(store: RealmStore, turns: int) -> set[str]:
    """The names of the writes that the store shows; fails when it shows one of them by half."""
    names: set[str] = set()
    session = await store.session(SESSION)
    if session is None:
        return names
    names.add("create")
    begun = 0
    bodies: list[str] = []
    for number in range(turns):
        turn = await store.turn(turn_id(number))
        if turn is None:
            continue
        begun += 1
        names.add(f"begin {number}")
        if turn.state == "completed":
            names.add(f"end {number}")
            bodies += [message.body for message in turn_end(number).messages]
    page = await store.messages(SESSION, offset=0, limit=1000, max_bytes=1 << 30)
    assert list(page.bodies) == bodies
    assert (session.turn_count, session.message_count, page.total) == (begun, len(bodies), len(bodies))
    assert session.usage.output_tokens == len(bodies) // 2
    ended = [number for number in range(turns) if f"end {number}" in names]
    assert list(await store.charges(SESSION, limit=turns)) == [charge_row(number) for number in ended]
    assert sum(row.cost_nanos for row in await store.usage()) == len(ended)
    for number in range(FORK_EVERY - 1, turns, FORK_EVERY):
        names |= await _found_fork(store, number, bodies)
    return names


async def _found_fork(store: RealmStore, number: int, bodies: Sequence[str]) -> set[str]:
    fork = await store.session(fork_id(number))
    if fork is None:
        return set()
    page = await store.messages(fork.session_id, offset=0, limit=1000, max_bytes=1 << 30)
    assert fork.message_count == page.total == len(page.bodies)
    shared = [body for body in page.bodies if not body.startswith("of fork")]
    assert shared == list(bodies[: len(shared)])
    return {f"fork {number}"} | ({f"own {number}"} if f"of fork {number}" in page.bodies else set())


async def look(backend: Backend, folder: str, turns: int) -> set[str]:
    """`found` in the realm in `folder`, which is opened for it."""
    store = await backend.open(folder, create=True)
    try:
        return await found(store, turns)
    finally:
        await store.aclose()
