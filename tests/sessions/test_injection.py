"""What is added to a transcript from outside is durable at once, and in its place once."""

import pytest
import trio
import trio.testing
from tests.sessions.conftest import Bench, keyed
from tests.sessions.test_recovery import Refusing, reopened
from tests.support.scripted_provider import Gate, tool_call

from meerkatd.errors import (
    DuplicateInput,
    MeerkatError,
    Overloaded,
    ProviderError,
    SessionArchived,
    SessionNotFound,
    StorageFailed,
    StorageFull,
    StorageUnknown,
)
from meerkatd.ids import new_session_id
from meerkatd.sessions import injection, turn_runner
from meerkatd.sessions.recovery import settle_lost_turns

BY = {"surface": "cli", "client": "someone"}


def said(messages) -> list[str]:
    """The transcript in short: who says what."""
    words = []
    for message in messages:
        match message["role"]:
            case "user":
                words.append(f"{message.get('transcript_role', 'user')}: {message['content']}")
            case "block_assistant":
                words.append("assistant")
            case role:
                words.append(role)
    return words


async def running(bench: Bench, *steps: object) -> tuple[str, Gate]:
    """A session with a turn that waits at a gate after `steps`."""
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers(*steps, gate)
    await bench.start(session_id)
    await gate.reached.wait()
    return session_id, gate


async def ended(bench: Bench, session_id: str) -> None:
    async with bench.sessions.hold(session_id) as session:
        if session.turn is not None:
            await session.turn.done.wait()


async def test_what_is_added_to_an_idle_session_is_in_the_history_at_once(bench: Bench):
    session_id = await bench.created()
    assert await bench.sessions.inject(session_id, "It rains.", source="weather") == "applied"
    message = (await bench.history(session_id))[-1]
    assert (message["role"], message["content"], message["source"]) == ("user", "It rains.", "weather")
    assert message["transcript_role"] == "injected_context"
    assert message["created_at"].endswith("Z")
    assert (await bench.sessions.read(session_id))["message_count"] == 3


async def test_the_next_turn_reads_it_before_its_prompt(bench: Bench):
    session_id = await bench.created()
    await bench.sessions.inject(session_id, "It rains.", source=None)
    bench.provider.answers("take an umbrella")
    turn = await bench.start(session_id, "what now?")
    await turn.done.wait()
    expected = ["user: hello", "assistant", "injected_context: It rains.", "user: what now?"]
    assert said(bench.provider.requests[1].messages)[:4] == expected
    assert said(await bench.history(session_id)) == [*expected, "assistant"]


async def test_a_deferred_session_reads_it_before_its_first_prompt(bench: Bench):
    session_id, _ = await bench.create("hello", deferred=True)
    assert await bench.sessions.inject(session_id, "It rains.", source=None) == "applied"
    bench.provider.answers("hi")
    await (await bench.start(session_id)).done.wait()
    assert said(await bench.history(session_id))[:1] == ["injected_context: It rains."]


async def test_the_running_turn_reads_it_with_its_next_call_of_the_model(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers(gate, tool_call("look"))
    bench.provider.answers("done")
    turn = await bench.start(session_id, "go")
    await gate.reached.wait()
    assert await bench.sessions.inject(session_id, "It rains.", source=None) == "staged"
    assert said(await bench.history(session_id)) == ["user: hello", "assistant"]
    gate.open()
    await turn.done.wait()
    expected = ["user: go", "assistant", "tool_results", "injected_context: It rains."]
    assert said(bench.provider.requests[2].messages)[2:6] == expected
    assert said(await bench.history(session_id))[2:] == [*expected, "assistant"]
    row = await bench.store.session(session_id)
    assert row is not None
    assert "injected" not in row.meta


async def test_what_comes_after_the_last_call_of_the_model_joins_at_the_end(bench: Bench):
    session_id, gate = await running(bench, "the answer")
    assert await bench.sessions.inject(session_id, "It rains.", source=None) == "staged"
    assert await bench.sessions.inject(session_id, "It pours.", source=None) == "staged"
    gate.open()
    await ended(bench, session_id)
    tail = ["assistant", "injected_context: It rains.", "injected_context: It pours."]
    assert said(await bench.history(session_id))[3:] == tail
    bench.provider.answers("more")
    await (await bench.start(session_id)).done.wait()
    assert said(await bench.history(session_id))[3:] == [*tail, "user: go on", "assistant"]


async def test_an_interrupted_turn_keeps_it(bench: Bench):
    session_id, _ = await running(bench, "half")
    await bench.sessions.inject(session_id, "It rains.", source=None)
    await bench.sessions.interrupt(session_id, turn_id=None, by=BY)
    assert "injected_context: It rains." in said(await bench.history(session_id))


async def test_a_failed_turn_keeps_it(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers(gate, ProviderError("down"))
    turn = await bench.start(session_id)
    await gate.reached.wait()
    await bench.sessions.inject(session_id, "It rains.", source=None)
    gate.open()
    await turn.done.wait()
    assert "injected_context: It rains." in said(await bench.history(session_id))


async def test_a_lost_turn_keeps_it(bench: Bench):
    """It was durable before its caller was told, so a daemon that dies in the middle of the turn forgets nothing."""
    session_id, _ = await running(bench, "never stored")
    await bench.sessions.inject(session_id, "It rains.", source=None)
    await settle_lost_turns(bench.store, now_ms=5)
    after = reopened(bench)
    tail = ["user: go on", "injected_context: It rains.", "system_notice"]
    assert said(await after.history(session_id))[2:] == tail
    assert await after.sessions.inject(session_id, "It pours.", source=None) == "applied"
    assert said(await after.history(session_id))[2:] == [*tail, "injected_context: It pours."]


@pytest.mark.parametrize("then", ["turn", "inject"])
async def test_a_turn_that_cannot_be_stored_keeps_it_for_when_it_is_settled(
    bench: Bench, then: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(turn_runner, "COMMIT_PAUSES", ())
    session_id, gate = await running(bench, "too much")
    await bench.sessions.inject(session_id, "It rains.", source=None)
    bench.store.end_turn = Refusing(bench.store, 1, StorageFull).end_turn
    gate.open()
    await ended(bench, session_id)
    expected = ["user: go on", "assistant", "injected_context: It rains.", "system_notice"]
    if then == "turn":
        bench.provider.answers("again")
        await (await bench.start(session_id)).done.wait()
        expected += ["user: go on", "assistant"]
    else:
        assert await bench.sessions.inject(session_id, "It pours.", source=None) == "applied"
        expected += ["injected_context: It pours."]
    assert said(await bench.history(session_id))[2:] == expected


async def test_the_same_key_adds_once(bench: Bench):
    session_id = await bench.created()
    assert await bench.sessions.inject(session_id, "It rains.", source=None, keyed=keyed("k")) == "applied"
    assert await bench.sessions.inject(session_id, "It rains.", source=None, keyed=keyed("k")) == "duplicate"
    with pytest.raises(DuplicateInput):
        await bench.sessions.inject(session_id, "It pours.", source=None, keyed=keyed("k", digest="other"))
    assert said(await bench.history(session_id))[2:] == ["injected_context: It rains."]


async def test_a_key_of_what_is_staged_counts_while_the_turn_runs_and_after(bench: Bench):
    session_id, gate = await running(bench)
    assert await bench.sessions.inject(session_id, "It rains.", source=None, keyed=keyed("k")) == "staged"
    assert await bench.sessions.inject(session_id, "It rains.", source=None, keyed=keyed("k")) == "duplicate"
    gate.open()
    await ended(bench, session_id)
    assert await bench.sessions.inject(session_id, "It rains.", source=None, keyed=keyed("k")) == "duplicate"
    assert said(await bench.history(session_id)).count("injected_context: It rains.") == 1


async def test_an_archived_or_unknown_session_takes_nothing(bench: Bench):
    session_id = await bench.created()
    await bench.sessions.set_archived(session_id, True)
    with pytest.raises(SessionArchived):
        await bench.sessions.inject(session_id, "It rains.", source=None)
    with pytest.raises(SessionNotFound):
        await bench.sessions.inject(new_session_id(), "It rains.", source=None)


async def test_a_turn_that_is_asked_for_meanwhile_waits_and_reads_it(bench: Bench):
    session_id = await bench.created()
    append, reached, go = bench.store.append, trio.Event(), trio.Event()

    async def slow_append(*args, **kwargs):
        reached.set()
        await go.wait()
        await append(*args, **kwargs)

    bench.store.append = slow_append
    bench.provider.answers("hi")
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: bench.sessions.inject(session_id, "It rains.", source=None))
            await reached.wait()
            nursery.start_soon(bench.start, session_id, "what now?")
            await trio.testing.wait_all_tasks_blocked()
            go.set()
        await ended(bench, session_id)
    expected = ["injected_context: It rains.", "user: what now?"]
    assert said(bench.provider.requests[1].messages)[2:4] == expected
    assert said(await bench.history(session_id))[2:4] == expected


async def test_what_comes_while_a_turn_is_being_committed_comes_after_it(bench: Bench):
    session_id, gate = await running(bench, "the answer")
    end_turn, reached, go = bench.store.end_turn, trio.Event(), trio.Event()

    async def slow_end(end):
        reached.set()
        await go.wait()
        await end_turn(end)

    bench.store.end_turn = slow_end
    statuses = []

    async def inject():
        statuses.append(await bench.sessions.inject(session_id, "It rains.", source=None))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            gate.open()
            await reached.wait()
            nursery.start_soon(inject)
            await trio.testing.wait_all_tasks_blocked()
            go.set()
    assert statuses == ["applied"]
    assert said(await bench.history(session_id))[2:] == ["user: go on", "assistant", "injected_context: It rains."]


async def test_a_turn_that_cannot_begin_leaves_what_was_added_in_its_place(bench: Bench):
    """Added between a turn's admission and its write-ahead row: no turn would ever commit what was staged for it."""
    session_id = await bench.created()
    begin_turn = bench.store.begin_turn

    async def failing(*args, **kwargs):
        raise StorageFull("no space")

    bench.store.begin_turn = failing
    outcomes = []

    async def start():
        with pytest.raises(StorageFull):
            await bench.start(session_id)

    async def inject():
        outcomes.append(await bench.sessions.inject(session_id, "It rains.", source=None))

    with trio.fail_after(10):
        async with bench.sessions.hold(session_id) as session, trio.open_nursery() as nursery, session.changing:
            nursery.start_soon(inject)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(start)
            await trio.testing.wait_all_tasks_blocked()
    assert outcomes == ["applied"]
    bench.store.begin_turn = begin_turn
    assert said(await bench.history(session_id))[2:] == ["injected_context: It rains."]


async def test_too_much_that_waits_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(injection, "MAX_STAGED", 2)
    session_id, gate = await running(bench)
    for text in ("one", "two"):
        await bench.sessions.inject(session_id, text, source=None)
    with pytest.raises(Overloaded) as refused:
        await bench.sessions.inject(session_id, "three", source=None)
    assert refused.value.details["staged"] == 2
    monkeypatch.setattr(injection, "MAX_STAGED", 100)
    monkeypatch.setattr(injection, "MAX_STAGED_CHARS", 10)
    with pytest.raises(Overloaded):
        await bench.sessions.inject(session_id, "x" * 5, source=None)
    gate.open()
    await ended(bench, session_id)
    assert said(await bench.history(session_id))[-2:] == ["injected_context: one", "injected_context: two"]


@pytest.mark.parametrize("method", ["append", "change_session"])
@pytest.mark.parametrize("happened", [True, False])
async def test_an_unknown_outcome_is_looked_up(bench: Bench, method: str, happened: bool):
    if method == "append":
        session_id, gate = await bench.created(), None
    else:
        session_id, gate = await running(bench)
    real = getattr(bench.store, method)

    async def unknown(*args, **kwargs):
        if happened:
            await real(*args, **kwargs)
        raise StorageUnknown("the disk failed")

    setattr(bench.store, method, unknown)
    told: MeerkatError | None = None
    try:
        await bench.sessions.inject(session_id, "It rains.", source=None)
    except StorageFailed as error:
        told = error
    assert (told is None) is happened
    setattr(bench.store, method, real)
    if gate is not None:
        gate.open()
        await ended(bench, session_id)
    assert ("injected_context: It rains." in said(await bench.history(session_id))) is happened
