"""Contexts that near the model's window: what the model sees gets shorter, and the transcript stays as it is."""

from typing import Any

import pytest
import trio
from tests.sessions.conftest import OTHER, Bench, keyed
from tests.support.scripted_provider import Gate, tool_calls

from meerkatd.agent.agents import AgentDefaults
from meerkatd.agent.context import CompactionSettings
from meerkatd.agent.port import Completed, TokenUsage, ToolSpec
from meerkatd.errors import MeerkatError, ProviderError, SessionBusy
from meerkatd.sessions.request import AgentOptions
from meerkatd.sessions.sessions import Sessions
from meerkatd.sessions.turn import Turn


def settle(bench: Bench, **settings: Any) -> None:
    defaults = AgentDefaults(compaction=CompactionSettings(**settings))
    bench.agents.defaults = lambda: defaults  # type: ignore[method-assign]


def big(text: str, tokens: int = 5000) -> Completed:
    """An answer to a call that was that large."""
    usage = TokenUsage(input_tokens=tokens, output_tokens=10)
    return Completed(blocks=[{"block_type": "text", "data": {"text": text}}], stop_reason="end_turn", usage=usage)


async def run(bench: Bench, session_id: str, prompt: str) -> Turn:
    turn = await bench.start(session_id, prompt)
    await turn.done.wait()
    return turn


async def long_session(bench: Bench, turns: int, *, tokens: int = 10) -> str:
    bench.provider.answers(big("answer 0", tokens))
    session_id, turn = await bench.create("prompt 0")
    assert turn is not None
    await turn.done.wait()
    for number in range(1, turns):
        bench.provider.answers(big(f"answer {number}", tokens))
        await run(bench, session_id, f"prompt {number}")
    return session_id


async def events(bench: Bench, session_id: str) -> list[dict[str, Any]]:
    async with bench.sessions.hold(session_id) as session:
        return [
            envelope["payload"]
            async for envelope in session.events.follow(0, until=lambda: session.events.last)
            if envelope["payload"]["type"].startswith("compaction")
        ]


def seen(bench: Bench) -> list[str]:
    """What the last call of the model was given, in short; the view has its answer by now."""
    shown = []
    for message in bench.provider.requests[-1].messages[:-1]:
        if message["role"] == "user":
            shown.append(str(message["content"]).rpartition("\n")[2])
        elif message["role"] == "block_assistant":
            shown.append("".join(block["data"].get("text", "call") for block in message["blocks"]))
        else:
            shown.append(message["role"])
    return shown


async def test_a_context_that_nears_its_limit_is_summarised_and_the_transcript_stays(bench: Bench):
    session_id = await long_session(bench, 4, tokens=5000)
    settle(bench, threshold=4000, recent_turns=2)
    before = await bench.history(session_id)
    bench.provider.answers(big("SUMMARY", 900))
    bench.provider.answers(big("answer 4"))
    turn = await run(bench, session_id, "prompt 4")
    assert seen(bench) == ["SUMMARY", "prompt 3", "answer 3", "prompt 4"]
    # The summary costs, too.
    assert turn.outcome()["usage"]["input_tokens"] == 900 + 5000
    assert (await bench.history(session_id))[: len(before)] == before
    info = await bench.sessions.read(session_id)
    assert info["compaction"]["summary"] == "SUMMARY"
    assert info["compaction"]["through"] == 6
    kinds = [event["type"] for event in await events(bench, session_id)]
    assert kinds == ["compaction_started", "compaction_completed"]


async def test_a_compaction_outlives_the_daemon(bench: Bench):
    session_id = await long_session(bench, 4)
    bench.provider.answers("SUMMARY")
    turn = await bench.sessions.compact(session_id, 1, caller=OTHER)
    await turn.done.wait()
    result = turn.outcome()
    assert (result["compacted"], result["through"]) == (True, 6)
    assert (result["messages_before"], result["messages_after"]) == (8, 3)

    async def open_store(create: bool):
        await trio.lowlevel.checkpoint()
        return bench.store

    again = Sessions("r", store=open_store, agents=bench.agents, nursery=bench.nursery)
    bench.provider.answers("fine")
    turn = await again.start_turn(session_id, "prompt 4", caller=OTHER, options=AgentOptions())
    await turn.done.wait()
    assert seen(bench) == ["SUMMARY", "prompt 3", "answer 3", "prompt 4"]
    assert len(await bench.history(session_id)) == 10


async def test_nothing_is_asked_when_there_is_nothing_older(bench: Bench):
    session_id = await long_session(bench, 2)
    turn = await bench.sessions.compact(session_id, None, caller=OTHER)
    await turn.done.wait()
    assert turn.outcome()["compacted"] is False
    assert turn.outcome()["usage"]["total_tokens"] == 0
    assert await events(bench, session_id) == []
    async with bench.sessions.hold(session_id) as session:
        assert turn.outcome()["cursor"] == session.events.last


async def test_a_compaction_makes_the_session_busy_and_can_be_interrupted(bench: Bench):
    session_id = await long_session(bench, 3)
    gate = Gate()
    bench.provider.answers("SUM", gate, "MARY")
    turn = await bench.sessions.compact(session_id, 1, caller=OTHER)
    await gate.reached.wait()
    with pytest.raises(SessionBusy):
        await bench.start(session_id)
    with pytest.raises(SessionBusy):
        await bench.sessions.compact(session_id, 1, caller=OTHER)
    await bench.sessions.interrupt(session_id, turn_id=None, by={"surface": "cli", "client": "x"})
    with pytest.raises(MeerkatError) as refused:
        turn.outcome()
    assert refused.value.code == "REQUEST_CANCELLED"
    assert "compaction" not in await bench.sessions.read(session_id)
    assert len(await bench.history(session_id)) == 6
    last = (await bench.sessions.read(session_id))["last_turn"]
    assert (last["kind"], last["state"]) == ("compaction", "interrupted")
    assert [event["type"] for event in await events(bench, session_id)] == ["compaction_started", "compaction_failed"]


async def test_a_running_turn_refuses_a_compaction(bench: Bench):
    session_id = await long_session(bench, 3)
    gate = Gate()
    bench.provider.answers(gate, "x")
    turn = await bench.start(session_id)
    await gate.reached.wait()
    with pytest.raises(SessionBusy):
        await bench.sessions.compact(session_id, 1, caller=OTHER)
    gate.open()
    await turn.done.wait()


async def test_a_failed_compaction_is_told_and_the_turn_goes_on(bench: Bench):
    settle(bench, threshold=4000, recent_turns=1, min_calls=2)
    session_id = await long_session(bench, 1, tokens=5000)
    reasons = []

    async def note() -> None:
        told = await events(bench, session_id)
        reasons.extend(event["reason"] for event in told if event["type"] == "compaction_failed")

    bench.provider.answers(ProviderError("no", details={"kind": "server"}))
    bench.provider.answers(big("one"))
    assert (await run(bench, session_id, "prompt 1")).outcome()["text"] == "one"
    await note()
    # Not at each call, but after as many calls as between two that succeed.
    bench.provider.answers(big("two"))
    assert (await run(bench, session_id, "prompt 2")).outcome()["text"] == "two"
    bench.provider.answers(Completed(blocks=[], stop_reason="end_turn", usage=TokenUsage()))
    bench.provider.answers(big("three"))
    assert (await run(bench, session_id, "prompt 3")).outcome()["text"] == "three"
    await note()
    assert reasons == [
        {"kind": "llm_failed", "error_class": "provider_error", "message": "no"},
        {"kind": "empty_summary"},
    ]
    assert "compaction" not in await bench.sessions.read(session_id)


async def test_a_turn_that_fills_the_window_alone_is_cut_before_an_answer_and_keeps_its_request(bench: Bench):
    """Never between a tool call and its result."""
    settle(bench, threshold=4000, recent_turns=1, min_calls=1)
    bench.tools.register([ToolSpec(name="look", description="", input_schema={})], Host())
    for number in range(3):
        call = tool_calls(("look", f"call_{number}", {}))
        bench.provider.answers(
            Completed(blocks=call.blocks, stop_reason="tool_use", usage=TokenUsage(input_tokens=5000))
            if number == 2
            else call
        )
    bench.provider.answers("SUMMARY")
    bench.provider.answers("done")
    _, turn = await bench.create("find it")
    assert turn is not None
    await turn.done.wait()
    assert turn.outcome()["text"] == "done"
    assert seen(bench) == ["find it", "call", "tool_results"]
    first = bench.provider.requests[-1].messages[0]
    assert "SUMMARY" in str(first["content"])


class Host:
    """A client that carries out anything."""

    async def execute(self, call_id: str, name: str, arguments: dict[str, Any], *, timeout: float) -> tuple[str, bool]:
        await trio.lowlevel.checkpoint()
        return "x" * 5000, False


async def test_a_fork_before_the_cut_is_without_the_summary(bench: Bench):
    session_id = await long_session(bench, 4)
    bench.provider.answers("SUMMARY")
    turn = await bench.sessions.compact(session_id, 1, caller=OTHER)
    await turn.done.wait()
    short = await bench.sessions.fork(session_id, 4, caller=OTHER)
    assert "compaction" not in await bench.sessions.read(short)
    whole = await bench.sessions.fork(session_id, 8, caller=OTHER)
    assert (await bench.sessions.read(whole))["compaction"]["through"] == 6


async def test_the_same_key_compacts_once(bench: Bench):
    session_id = await long_session(bench, 3)
    bench.provider.answers("SUMMARY")
    request = keyed("k", method="session/compact")
    first = await bench.sessions.compact(session_id, 1, caller=OTHER, keyed=request)
    await first.done.wait()
    again = await bench.sessions.compact(session_id, 1, caller=OTHER, keyed=request)
    assert list(again.outcome().items()) == list(first.outcome().items())


async def test_a_deferred_session_keeps_its_prompt_over_a_compaction(bench: Bench):
    session_id, _ = await bench.create("first", deferred=True)
    turn = await bench.sessions.compact(session_id, 0, caller=OTHER)
    await turn.done.wait()
    assert turn.outcome()["compacted"] is False
    assert (await bench.sessions.read(session_id))["staged_prompt"] == "first"
