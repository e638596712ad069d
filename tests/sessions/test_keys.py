"""The same idempotency key with the same params gives the first outcome again."""

import pytest
import trio
from tests.sessions.conftest import Bench, keyed
from tests.support.scripted_provider import Gate

from meerkatd.errors import DuplicateInput, MeerkatError, ProviderError
from meerkatd.sessions.keys import digest_of


def test_a_digest_does_not_depend_on_the_order_of_fields():
    assert digest_of("m", {"a": 1, "b": [2]}) == digest_of("m", {"b": [2], "a": 1})
    assert digest_of("m", {"a": 1}) != digest_of("n", {"a": 1})
    assert digest_of("m", {"a": 1}) != digest_of("m", {"a": "1"})


async def test_a_repeated_start_gives_the_first_result_and_runs_nothing(bench: Bench):
    session_id = await bench.created()
    bench.provider.answers("once")
    first = await bench.start(session_id, keyed=keyed("k"))
    await first.done.wait()
    again = await bench.start(session_id, keyed=keyed("k"))
    assert list(again.outcome().items()) == list(first.outcome().items())
    assert len(bench.provider.requests) == 2


async def test_a_repeated_start_while_the_turn_runs_is_that_turn(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers(gate, "x")
    first = await bench.start(session_id, keyed=keyed("k"))
    assert await bench.start(session_id, keyed=keyed("k")) is first
    gate.open()


async def test_two_equal_starts_that_come_together_run_one_turn(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers(gate, "x")
    turns = []

    async def start():
        turns.append(await bench.start(session_id, keyed=keyed("k")))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(start)
    assert len({turn.turn_id for turn in turns}) == 1
    gate.open()


async def test_the_same_key_with_other_params_is_refused(bench: Bench):
    session_id = await bench.created()
    bench.provider.answers("x")
    await (await bench.start(session_id, keyed=keyed("k"))).done.wait()
    with pytest.raises(DuplicateInput):
        await bench.start(session_id, keyed=keyed("k", digest="other"))


async def test_a_failure_is_given_again_too(bench: Bench):
    session_id = await bench.created()
    bench.provider.answers(ProviderError("down", details={"kind": "server"}))
    await (await bench.start(session_id, keyed=keyed("k"))).done.wait()
    again = await bench.start(session_id, keyed=keyed("k"))
    with pytest.raises(MeerkatError) as failed:
        again.outcome()
    assert failed.value.code == "PROVIDER_ERROR"


async def test_an_interrupted_turn_is_told_again_with_its_text(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers("half an answer", gate)
    turn = await bench.start(session_id, keyed=keyed("k"))
    await gate.reached.wait()
    await bench.sessions.interrupt(session_id, turn_id=None, by={"surface": "cli", "client": "someone"})
    again = await bench.start(session_id, keyed=keyed("k"))
    with pytest.raises(MeerkatError) as told:
        again.outcome()
    assert turn.error is not None
    assert (told.value.code, told.value.details) == (turn.error.code, turn.error.details)
    assert told.value.details["text"] == "half an answer"


async def test_a_refused_request_does_not_use_up_its_key(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers(gate, "x")
    running = await bench.start(session_id)
    with pytest.raises(MeerkatError) as busy:
        await bench.start(session_id, keyed=keyed("k"))
    assert busy.value.code == "SESSION_BUSY"
    gate.open()
    await running.done.wait()
    bench.provider.answers("now")
    turn = await bench.start(session_id, keyed=keyed("k"))
    await turn.done.wait()
    assert turn.outcome()["text"] == "now"


async def test_a_repeated_create_makes_one_session(bench: Bench):
    bench.provider.answers("x")
    first_id, turn = await bench.create(keyed=keyed("k", method="session/create"))
    assert turn is not None
    await turn.done.wait()
    second_id, again = await bench.create(keyed=keyed("k", method="session/create"))
    assert second_id == first_id
    assert again is not None
    assert again.outcome() == turn.outcome()


async def test_a_repeated_archive_is_answered_like_the_first(bench: Bench):
    session_id = await bench.created()
    key = keyed("k", method="session/archive")
    first = await bench.sessions.set_archived(session_id, True, keyed=key)
    again = await bench.sessions.set_archived(session_id, True, keyed=key)
    assert first.archived_ms == again.archived_ms is not None


async def test_a_repeated_archive_of_the_last_session_does_not_speak_of_the_next_one(bench: Bench):
    """`last` names another session once the first one is archived; the request is the same all the same."""
    other_id = await bench.created()
    session_id = await bench.created()
    key = keyed("k", method="session/archive")
    await bench.sessions.set_archived(session_id, True, keyed=key)
    again = await bench.sessions.set_archived(other_id, True, keyed=key)
    assert (again.session_id, again.archived_ms is not None) == (session_id, True)
