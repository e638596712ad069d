"""What becomes of turns that could not be ended or could not be stored."""

import pytest
from tests.sessions.conftest import Bench, keyed
from tests.support.scripted_provider import Gate

from meerkatd.errors import MeerkatError, StorageFull, StorageUnknown
from meerkatd.sessions import turn_runner
from meerkatd.sessions.recovery import settle_lost_turns
from meerkatd.store.api import RealmStore, ToolRow, TurnEnd


async def crash(bench: Bench, *, tools: bool) -> tuple[str, str]:
    """Leave the store as it is when the daemon dies in the middle of a turn: written ahead and not ended."""
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers("never stored", gate)
    turn = await bench.start(session_id, "the prompt", keyed=keyed("k"))
    await gate.reached.wait()
    if tools:
        fates = (("a", "ran"), ("b", "failed"), ("c", "started"), ("d", "declared"))
        rows = [
            ToolRow(turn_id=turn.turn_id, call_id=call, position=place, name="t", arguments="{}", state=state)
            for place, (call, state) in enumerate(fates)
        ]
        await bench.store.put_tools(rows)
    return session_id, turn.turn_id


def reopened(bench: Bench) -> Bench:
    """Another daemon's sessions over the same store: nothing is in memory."""
    from dataclasses import replace

    from meerkatd.sessions.sessions import Sessions

    async def open_store(create: bool):
        return bench.store

    clock = iter(range(1_900_000_000_000, 2_000_000_000_000))
    sessions = Sessions("r", store=open_store, agents=bench.agents, nursery=bench.nursery, now_ms=lambda: next(clock))
    return replace(bench, sessions=sessions)


async def test_a_lost_turn_is_told_with_what_ran_may_have_run_and_never_ran(bench: Bench):
    session_id, turn_id = await crash(bench, tools=True)
    assert await settle_lost_turns(bench.store, now_ms=5) == 1
    after = reopened(bench)
    info = await after.sessions.turn(session_id, turn_id)
    assert info["state"] == "lost"
    assert [call["fate"] for call in info["tool_calls"]] == ["ran", "ran", "may_have_run", "never_ran"]
    assert info["error"]["code"] == "TURN_LOST"
    messages = await after.history(session_id)
    assert messages[-2]["content"] == "the prompt"
    assert messages[-1]["role"] == "system_notice"
    for words in ("ran: t (a), t (b)", "may have run: t (c)", "never ran: t (d)"):
        assert words in messages[-1]["body"]


async def test_after_a_loss_the_session_is_usable_at_once_and_nothing_runs_again(bench: Bench):
    session_id, _ = await crash(bench, tools=False)
    asked = len(bench.provider.requests)
    await settle_lost_turns(bench.store, now_ms=5)
    after = reopened(bench)
    assert len(bench.provider.requests) == asked
    bench.provider.answers("on we go")
    turn = await after.start(session_id)
    await turn.done.wait()
    assert turn.outcome()["text"] == "on we go"


async def test_a_repeated_request_for_a_lost_turn_is_told_of_the_loss(bench: Bench):
    session_id, turn_id = await crash(bench, tools=True)
    await settle_lost_turns(bench.store, now_ms=5)
    turn = await reopened(bench).start(session_id, keyed=keyed("k"))
    with pytest.raises(MeerkatError) as lost:
        turn.outcome()
    assert lost.value.code == "TURN_LOST"
    assert lost.value.details["turn_id"] == turn_id
    assert [call["fate"] for call in lost.value.details["tool_calls"]][-1] == "never_ran"


async def test_event_numbers_are_never_used_twice_after_a_loss(bench: Bench):
    session_id, _ = await crash(bench, tools=False)
    async with bench.sessions.hold(session_id) as session:
        before = session.events.last
    await settle_lost_turns(bench.store, now_ms=5)
    async with reopened(bench).sessions.hold(session_id) as session:
        assert session.events.last > before


async def test_settling_twice_changes_nothing(bench: Bench):
    session_id, _ = await crash(bench, tools=False)
    await settle_lost_turns(bench.store, now_ms=5)
    count = len(await reopened(bench).history(session_id))
    assert await settle_lost_turns(bench.store, now_ms=6) == 0
    assert len(await reopened(bench).history(session_id)) == count


class Refusing:
    """A store that refuses the commit at the end of a turn a number of times."""

    def __init__(self, store: RealmStore, times: int, error: type[MeerkatError], *, commits: bool = False) -> None:
        self._end_turn = store.end_turn
        self._times = times
        self._error = error
        self._commits = commits
        store.end_turn = self.end_turn  # type: ignore[method-assign]

    async def end_turn(self, end: TurnEnd) -> None:
        if self._times > 0:
            self._times -= 1
            if self._commits:
                await self._end_turn(end)
            raise self._error("The disk is full.")
        await self._end_turn(end)


@pytest.fixture
def no_pauses(monkeypatch):
    monkeypatch.setattr(turn_runner, "COMMIT_PAUSES", (0, 0))


async def test_a_commit_is_tried_again_while_there_is_hope(bench: Bench, no_pauses):
    session_id = await bench.created()
    Refusing(bench.store, 2, StorageFull)
    bench.provider.answers("worth keeping")
    turn = await bench.start(session_id)
    await turn.done.wait()
    assert turn.outcome()["text"] == "worth keeping"
    assert len(await bench.history(session_id)) == 4


async def test_an_answer_that_cannot_be_stored_goes_to_its_caller_with_the_error(bench: Bench, no_pauses):
    session_id = await bench.created()
    refusing = Refusing(bench.store, 99, StorageFull)
    bench.provider.answers("worth keeping")
    turn = await bench.start(session_id, "the prompt")
    await turn.done.wait()
    with pytest.raises(MeerkatError) as full:
        turn.outcome()
    assert full.value.code == "STORAGE_FULL"
    assert full.value.details["text"] == "worth keeping"
    assert len(await bench.history(session_id)) == 2
    refusing._times = 0
    bench.provider.answers("space again")
    after = await bench.start(session_id)
    await after.done.wait()
    assert after.outcome()["text"] == "space again"
    bodies = await bench.history(session_id)
    assert [body["role"] for body in bodies[2:5]] == ["user", "block_assistant", "system_notice"]
    assert bodies[2]["content"] == "the prompt"
    assert bodies[3]["blocks"][0]["data"]["text"] == "worth keeping"
    assert "stored late" in bodies[4]["body"]


async def test_a_turn_that_could_not_be_stored_is_there_for_the_first_who_looks_when_there_is_space(
    bench: Bench, no_pauses
):
    """Nobody has to take another turn first; while the disk refuses, readers get what is there."""
    session_id = await bench.created()
    refusing = Refusing(bench.store, 99, StorageFull)
    bench.provider.answers("worth keeping")
    turn = await bench.start(session_id, "the prompt")
    await turn.done.wait()
    assert "last_turn" not in await bench.sessions.read(session_id)
    assert len(await bench.history(session_id)) == 2
    refusing._times = 0
    bodies = await bench.history(session_id)
    assert bodies[3]["blocks"][0]["data"]["text"] == "worth keeping"
    assert (await bench.sessions.read(session_id))["last_turn"]["error"]["code"] == "STORAGE_FULL"


async def test_a_commit_of_unknown_outcome_that_happened_is_told_as_done(bench: Bench, no_pauses):
    """An I/O error at COMMIT leaves open whether it happened; only reading again tells."""
    session_id = await bench.created()
    Refusing(bench.store, 1, StorageUnknown, commits=True)
    bench.provider.answers("kept")
    turn = await bench.start(session_id)
    await turn.done.wait()
    assert turn.outcome()["text"] == "kept"
    assert len(await bench.history(session_id)) == 4


async def test_a_commit_of_unknown_outcome_that_did_not_happen_is_made_again(bench: Bench, no_pauses):
    session_id = await bench.created()
    Refusing(bench.store, 1, StorageUnknown)
    bench.provider.answers("kept")
    turn = await bench.start(session_id)
    await turn.done.wait()
    assert turn.outcome()["text"] == "kept"
    assert len(await bench.history(session_id)) == 4
