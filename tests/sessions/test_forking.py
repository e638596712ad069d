"""A fork begins with what its source had said, and then each goes its own way."""

import pytest
from tests.sessions.conftest import CALLER, OTHER, Bench, keyed
from tests.sessions.test_injection import said
from tests.support.scripted_provider import Gate

from meerkatd.errors import DuplicateInput, InvalidParams, SessionBusy, SessionNotFound, StorageFailed, StorageUnknown
from meerkatd.ids import new_session_id
from meerkatd.sessions.request import AgentOptions


async def source_of(bench: Bench) -> str:
    bench.provider.answers("hi")
    options = AgentOptions(system_prompt="Be kind.", model="m-1")
    session_id, turn = await bench.create("hello", options=options, labels={"team": "a"})
    assert turn is not None
    await turn.done.wait()
    bench.provider.answers("well")
    await (await bench.start(session_id, "how are you?")).done.wait()
    return session_id


async def test_a_fork_has_the_first_messages_and_the_same_build(bench: Bench):
    source_id = await source_of(bench)
    fork_id = await bench.sessions.fork(source_id, 2, caller=OTHER)
    assert await bench.history(fork_id) == (await bench.history(source_id))[:2]
    read = await bench.sessions.read(fork_id)
    assert (read["model"], read["system_prompt"], read["labels"]) == ("m-1", "Be kind.", {"team": "a"})
    assert (read["message_count"], read["total_tokens"], read["cursor"]) == (2, 0, 0)
    assert read["last_assistant_text"] == "hi"


async def test_a_fork_goes_on_by_itself(bench: Bench):
    source_id = await source_of(bench)
    fork_id = await bench.sessions.fork(source_id, 2, caller=CALLER)
    bench.provider.answers("elsewhere")
    await (await bench.start(fork_id, "and you?")).done.wait()
    assert said(bench.provider.requests[-1].messages)[:3] == ["user: hello", "assistant", "user: and you?"]
    assert bench.provider.requests[-1].system == "Be kind."
    assert said(await bench.history(source_id))[2] == "user: how are you?"
    assert said(await bench.history(fork_id))[2] == "user: and you?"


async def test_a_fork_of_everything_and_of_nothing(bench: Bench):
    source_id = await source_of(bench)
    for count in (0, 4):
        fork_id = await bench.sessions.fork(source_id, count, caller=CALLER)
        assert len(await bench.history(fork_id)) == count


async def test_a_fork_takes_neither_the_staged_prompt_nor_the_archive_mark(bench: Bench):
    deferred, _ = await bench.create("later", deferred=True)
    fork_id = await bench.sessions.fork(deferred, 0, caller=CALLER)
    assert "staged_prompt" not in await bench.sessions.read(fork_id)
    source_id = await source_of(bench)
    await bench.sessions.set_archived(source_id, True)
    assert (await bench.sessions.read(await bench.sessions.fork(source_id, 4, caller=CALLER)))["archived"] is False


async def test_a_busy_session_is_not_forked(bench: Bench):
    source_id = await source_of(bench)
    gate = Gate()
    bench.provider.answers(gate)
    turn = await bench.start(source_id)
    await gate.reached.wait()
    with pytest.raises(SessionBusy):
        await bench.sessions.fork(source_id, 2, caller=CALLER)
    gate.open()
    await turn.done.wait()


async def test_an_index_past_the_end_is_refused_and_leaves_nothing(bench: Bench):
    source_id = await source_of(bench)
    with pytest.raises(InvalidParams) as refused:
        await bench.sessions.fork(source_id, 5, caller=CALLER)
    assert refused.value.details == {"field": "message_index", "message_count": 4}
    with pytest.raises(SessionNotFound):
        await bench.sessions.fork(new_session_id(), 0, caller=CALLER)
    assert len(await bench.sessions.list(offset=0, limit=10, include_archived=True, labels={})) == 1


async def test_the_same_key_gives_the_same_fork(bench: Bench):
    source_id = await source_of(bench)
    fork_id = await bench.sessions.fork(source_id, 2, caller=CALLER, keyed=keyed("k"))
    assert await bench.sessions.fork(source_id, 2, caller=CALLER, keyed=keyed("k")) == fork_id
    with pytest.raises(DuplicateInput):
        await bench.sessions.fork(source_id, 3, caller=CALLER, keyed=keyed("k", digest="other"))


@pytest.mark.parametrize("happened", [True, False])
async def test_an_unknown_outcome_is_looked_up(bench: Bench, happened: bool):
    source_id = await source_of(bench)
    fork_session = bench.store.fork_session

    async def unknown(*args, **kwargs):
        if happened:
            await fork_session(*args, **kwargs)
        raise StorageUnknown("the disk failed")

    bench.store.fork_session = unknown
    if happened:
        assert len(await bench.history(await bench.sessions.fork(source_id, 2, caller=CALLER))) == 2
    else:
        with pytest.raises(StorageFailed):
            await bench.sessions.fork(source_id, 2, caller=CALLER)
