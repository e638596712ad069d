"""The conformance suite is run on stores that lie, and each lie must be caught by the test that is there for it."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.store.conformance import (
    test_append,
    test_approvals,
    test_archive,
    test_baseline,
    test_charges,
    test_concurrency,
    test_fork,
    test_keys,
    test_large,
    test_paging,
    test_whole,
)
from tests.store.conformance.bench import Bench, bench_of

from meerkatd.store.api import (
    ApprovalRow,
    ApprovalState,
    ChargeRow,
    KeyRow,
    MessagePage,
    RealmStore,
    SessionChange,
    SessionQuery,
    SessionRow,
    TurnEnd,
    TurnRow,
)
from meerkatd.store.memory import MemoryStore

CHAPTERS = (
    test_baseline,
    test_append,
    test_keys,
    test_paging,
    test_archive,
    test_large,
    test_concurrency,
    test_fork,
    test_charges,
    test_whole,
    test_approvals,
)
Promise = Callable[[Bench], Awaitable[None]]


def promises() -> dict[str, Promise]:
    """The tests that need a bench and nothing else."""
    return {
        name: function
        for chapter in CHAPTERS
        for name, function in vars(chapter).items()
        if name.startswith("test_") and list(inspect.signature(function).parameters) == ["bench"]
    }


class LosesTheLastMessage(MemoryStore):
    async def end_turn(self, end: TurnEnd) -> None:
        await super().end_turn(replace(end, messages=end.messages[:-1]))


class HasAGap(MemoryStore):
    """Numbers messages with a hole after each turn, as a store does that burns numbers of refused writes."""

    async def messages(self, session_id: str, *, offset: int, limit: int, max_bytes: int) -> MessagePage:
        whole = await super().messages(session_id, offset=0, limit=10_000, max_bytes=1 << 30)
        holed = [text for body in whole.bodies for text in (body, "")][: whole.total]
        return MessagePage(offset=offset, total=whole.total, bodies=holed[offset : offset + limit])


class ShowsWhatIsNotCommitted(MemoryStore):
    """Lets others see the first half of a turn's end."""

    async def end_turn(self, end: TurnEnd) -> None:
        self._bodies[end.session_id] += [message.body for message in end.messages[:1]]
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        await super().end_turn(replace(end, messages=end.messages[1:]))


class WritesBeforeItChecks(MemoryStore):
    async def create_session(
        self, session: SessionRow, *, turn: TurnRow | None = None, key: KeyRow | None = None
    ) -> None:
        await super().create_session(session, turn=turn)
        await trio.lowlevel.checkpoint()
        self._check_key(key)
        self._insert(None, key)


class EndsATurnTwice(MemoryStore):
    async def end_turn(self, end: TurnEnd) -> None:
        self._turns[end.turn_id] = replace(self._turns[end.turn_id], state="running")
        await super().end_turn(end)


class TakesAnyOrdinal(MemoryStore):
    def _check_turn(self, turn: TurnRow | None, *, expected: int) -> None:
        return


class AnswersBeforeItWrites(MemoryStore):
    """Acknowledges at once and writes when the next one comes."""

    def __init__(self) -> None:
        super().__init__()
        self._late: list[tuple[str, int]] = []

    async def reserve_events(self, session_id: str, event_seq: int) -> None:
        for late in self._late:
            await super().reserve_events(*late)
        self._late = [(session_id, event_seq)]
        await trio.lowlevel.checkpoint()


class ListsOldestFirst(MemoryStore):
    async def sessions(self, query: SessionQuery) -> Sequence[SessionRow]:
        whole = await super().sessions(replace(query, offset=0, limit=10_000))
        return whole[::-1][query.offset : query.offset + query.limit]


class MatchesAnyLabel(MemoryStore):
    async def sessions(self, query: SessionQuery) -> Sequence[SessionRow]:
        rows = await super().sessions(replace(query, labels={}, offset=0, limit=10_000))
        found = [row for row in rows if not query.labels or query.labels.items() & row.labels.items()]
        return found[query.offset : query.offset + query.limit]


class ForgetsTheMark(MemoryStore):
    async def change_session(self, session_id: str, change: SessionChange, *, key: KeyRow | None = None) -> SessionRow:
        kept = change if change.archived is not None else replace(change, archived=False)
        return await super().change_session(session_id, kept, key=key)


class CountsCharacters(MemoryStore):
    """Takes `max_bytes` for characters."""

    async def messages(self, session_id: str, *, offset: int, limit: int, max_bytes: int) -> MessagePage:
        page = await super().messages(session_id, offset=offset, limit=limit, max_bytes=1 << 30)
        sizes = [sum(len(body) for body in page.bodies[: n + 1]) for n in range(len(page.bodies))]
        fitting = max(1, sum(size <= max_bytes for size in sizes))
        return replace(page, bodies=page.bodies[:fitting])


class WritesWhenCancelled(MemoryStore):
    async def create_session(
        self, session: SessionRow, *, turn: TurnRow | None = None, key: KeyRow | None = None
    ) -> None:
        with trio.CancelScope(shield=True):
            await super().create_session(session, turn=turn, key=key)
        await trio.lowlevel.checkpoint()


class CutsAtNul(MemoryStore):
    async def end_turn(self, end: TurnEnd) -> None:
        cut = [replace(message, body=message.body.split("\0")[0]) for message in end.messages]
        await super().end_turn(replace(end, messages=cut))


class SharesMessagesWithForks(MemoryStore):
    async def fork_session(self, session: SessionRow, *, source_id: str, count: int, key: KeyRow | None = None) -> None:
        await super().fork_session(session, source_id=source_id, count=count, key=key)
        self._bodies[session.session_id] = self._bodies[source_id]
        del self._lineages[session.session_id]


class SkipsReservedEvents(MemoryStore):
    """Goes on behind what was reserved and never used."""

    async def end_turn(self, end: TurnEnd) -> None:
        reserved = self._sessions[end.session_id].event_seq
        await super().end_turn(replace(end, event_seq=max(reserved, end.event_seq)))


class ChargesTwice(MemoryStore):
    """Takes a repeated request for a new one."""

    async def put_charges(self, rows: Sequence[ChargeRow]) -> None:
        count = sum(len(held) for held in self._charges.values())
        await super().put_charges(
            [replace(row, charge_id=f"{row.charge_id} {count + n}") for n, row in enumerate(rows)]
        )


class ChargesForARefusedTurn(MemoryStore):
    async def end_turn(self, end: TurnEnd) -> None:
        await super().put_charges(end.charges)
        await super().end_turn(replace(end, charges=()))


class KeepsTheFirstAnswer(MemoryStore):
    async def put_approval(self, row: ApprovalRow) -> None:
        await super().put_approval(self._approvals.get(row.approval_id, row))


class ListsApprovalsOfAll(MemoryStore):
    async def approvals(
        self, *, session_id: str | None = None, states: Sequence[ApprovalState] = (), limit: int
    ) -> Sequence[ApprovalRow]:
        return await super().approvals(states=states, limit=limit)


LIARS: dict[type[MemoryStore], Promise] = {
    LosesTheLastMessage: test_append.test_messages_of_several_turns_are_one_dense_sequence,
    HasAGap: test_append.test_messages_of_several_turns_are_one_dense_sequence,
    ShowsWhatIsNotCommitted: test_concurrency.test_page_and_total_are_of_one_moment,
    WritesBeforeItChecks: test_keys.test_session_with_a_taken_key_is_not_created,
    EndsATurnTwice: test_append.test_turn_is_ended_only_once,
    TakesAnyOrdinal: test_concurrency.test_one_of_many_writers_wins_the_same_turn,
    AnswersBeforeItWrites: test_concurrency.test_acknowledged_write_is_seen_by_the_next_read_of_any_task,
    ListsOldestFirst: test_paging.test_list_is_newest_first_and_pages_without_overlap,
    MatchesAnyLabel: test_archive.test_all_labels_must_match,
    ForgetsTheMark: test_archive.test_archiving_again_keeps_the_first_time_and_unarchiving_clears_it,
    CountsCharacters: test_paging.test_page_ends_before_it_exceeds_the_bytes,
    WritesWhenCancelled: test_concurrency.test_write_in_a_cancelled_scope_does_not_happen,
    CutsAtNul: test_append.test_bodies_come_back_byte_for_byte,
    SharesMessagesWithForks: test_fork.test_fork_has_the_first_messages_and_goes_on_by_itself,
    ChargesTwice: test_charges.test_charge_that_is_recorded_already_is_left_out,
    ChargesForARefusedTurn: test_charges.test_charges_of_a_refused_write_are_not_recorded,
    KeepsTheFirstAnswer: test_approvals.test_approval_is_replaced_by_its_id,
    ListsApprovalsOfAll: test_approvals.test_approvals_are_chosen_by_session_and_state,
    SkipsReservedEvents: test_baseline.test_event_bound_rises_until_the_turn_ends_and_tells_the_last_number,
}


class OneStore:
    """A backend that opens stores of one class."""

    name = "liar"

    def __init__(self, kind: type[MemoryStore]) -> None:
        self._kind = kind

    async def open(self, folder: str, *, create: bool, bulk: bool = False) -> RealmStore:
        await trio.lowlevel.checkpoint()
        return self._kind()


def _all_assertions(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_all_assertions(inner) for inner in error.exceptions)
    return isinstance(error, AssertionError | pytest.fail.Exception)


@pytest.mark.parametrize("liar", LIARS, ids=lambda kind: kind.__name__)
async def test_lie_is_caught_by_the_promise_that_it_breaks(liar: type[MemoryStore], tmp_path: Path) -> None:
    caught: BaseException | None = None
    try:
        async with bench_of(OneStore(liar), str(tmp_path)) as bench:
            await LIARS[liar](bench)
    except BaseException as error:
        caught = error
    assert caught is not None
    assert _all_assertions(caught), caught


async def test_honest_store_passes_every_promise_that_the_liars_are_held_to(tmp_path: Path) -> None:
    for promise in set(LIARS.values()):
        async with bench_of(OneStore(MemoryStore), str(tmp_path)) as bench:
            await promise(bench)


def test_every_lie_is_told_to_a_promise_of_the_suite() -> None:
    known: Any = promises().values()
    assert set(LIARS.values()) <= set(known)
