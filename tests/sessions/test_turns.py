"""One turn per session, interrupts that work from anywhere, and history that shows what was committed."""

import pytest
import trio
import trio.testing
from tests.sessions.conftest import OTHER, Bench
from tests.support.scripted_provider import Gate, tool_call, tool_calls

from meerkatd.agent.port import MALFORMED_ARGS, ToolSpec
from meerkatd.contract.turn import Holder
from meerkatd.errors import (
    MeerkatError,
    ProviderError,
    ProviderNotConfigured,
    SessionArchived,
    SessionBusy,
    SessionNotFound,
    SessionNotRunning,
)
from meerkatd.ids import new_session_id
from meerkatd.sessions.request import AgentOptions

BY: Holder = {"surface": "cli", "client": "someone"}


def roles(messages) -> list[str]:
    return [message["role"] for message in messages]


async def test_a_turn_answers_and_its_messages_are_in_the_history(bench: Bench):
    session_id = await bench.created("hi there")
    messages = await bench.history(session_id)
    assert roles(messages) == ["user", "block_assistant"]
    assert messages[0]["content"] == "hello"
    assert messages[1]["blocks"][0]["data"]["text"] == "hi there"
    assert all(message["created_at"].endswith("Z") for message in messages)


async def test_the_second_turn_sees_the_messages_of_the_first(bench: Bench):
    session_id = await bench.created("one")
    bench.provider.answers("two")
    turn = await bench.start(session_id)
    await turn.done.wait()
    assert roles(bench.provider.requests[1].messages)[:3] == ["user", "block_assistant", "user"]
    assert turn.outcome()["text"] == "two"


async def test_second_turn_is_refused_while_one_is_running(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers("par", gate, "tial")
    turn = await bench.start(session_id)
    await gate.reached.wait()
    with pytest.raises(SessionBusy) as refused:
        await bench.start(session_id, caller=OTHER)
    details = refused.value.details
    assert details["turn_id"] == turn.turn_id
    assert (details["surface"], details["client"], details["pid"]) == ("cli", "test", 7)
    assert details["cursor"] == turn.first_cursor
    gate.open()
    await turn.done.wait()
    assert turn.outcome()["text"] == "partial"


async def test_of_many_starts_at_once_exactly_one_is_admitted(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers(gate, "done")
    outcomes: list[str] = []

    async def contend():
        try:
            await bench.start(session_id)
            outcomes.append("admitted")
        except SessionBusy:
            outcomes.append("busy")

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(contend)
    assert sorted(outcomes) == ["admitted"] + ["busy"] * 49
    gate.open()


async def test_a_session_is_free_again_when_its_turn_is_told_as_done(bench: Bench):
    session_id = await bench.created()
    for _ in range(3):
        bench.provider.answers("again")
        turn = await bench.start(session_id)
        await turn.done.wait()
    assert (await bench.sessions.read(session_id))["message_count"] == 8


async def test_interrupt_keeps_what_was_produced_and_marks_it(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers("half an ans", gate, "wer")
    turn = await bench.start(session_id)
    await gate.reached.wait()
    interrupted = await bench.sessions.interrupt(session_id, turn_id=None, by=BY)
    assert interrupted is turn
    assert turn.state == "interrupted"
    messages = await bench.history(session_id)
    assert roles(messages) == ["user", "block_assistant", "user", "block_assistant", "system_notice"]
    assert messages[3]["stop_reason"] == "cancelled"
    assert messages[3]["blocks"][0]["data"]["text"] == "half an ans"
    assert "someone (cli)" in messages[4]["body"]
    with pytest.raises(MeerkatError) as told:
        turn.outcome()
    assert told.value.code == "REQUEST_CANCELLED"
    assert bench.provider.closed_streams == 2


async def test_an_interrupted_session_goes_on(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers("x", gate)
    await bench.start(session_id)
    await gate.reached.wait()
    await bench.sessions.interrupt(session_id, turn_id=None, by=BY)
    bench.provider.answers("fine")
    turn = await bench.start(session_id)
    await turn.done.wait()
    assert turn.outcome()["text"] == "fine"


async def test_interrupt_of_an_idle_session_says_so(bench: Bench):
    session_id = await bench.created()
    with pytest.raises(SessionNotRunning):
        await bench.sessions.interrupt(session_id, turn_id=None, by=BY)


async def test_interrupt_of_a_turn_that_has_ended_leaves_the_next_one_alone(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers(gate, "x")
    turn = await bench.start(session_id)
    with pytest.raises(SessionNotRunning):
        await bench.sessions.interrupt(session_id, turn_id="another", by=BY)
    assert turn.state in ("admitted", "running")
    gate.open()


async def test_two_interrupts_at_once_end_one_turn(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers("x", gate)
    turn = await bench.start(session_id)
    await gate.reached.wait()
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(lambda: bench.sessions.interrupt(session_id, turn_id=None, by=BY))
    assert turn.state == "interrupted"
    assert roles(await bench.history(session_id)).count("system_notice") == 1


async def test_an_interrupt_before_the_first_token_keeps_the_prompt(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers(gate)
    await bench.start(session_id, "my prompt")
    await bench.sessions.interrupt(session_id, turn_id=None, by=BY)
    messages = await bench.history(session_id)
    assert messages[2]["content"] == "my prompt"
    assert roles(messages)[2:] == ["user", "system_notice"]


async def test_history_shows_nothing_of_a_turn_that_is_running(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers("secret", gate)
    turn = await bench.start(session_id)
    await gate.reached.wait()
    assert len(await bench.history(session_id)) == 2
    info = await bench.sessions.read(session_id)
    assert info["is_active"] is True
    assert info["active_turn"]["turn_id"] == turn.turn_id
    assert info["last_assistant_text"] == "hi"
    gate.open()


async def test_a_failed_turn_keeps_the_prompt_and_says_why(bench: Bench):
    session_id = await bench.created()
    bench.provider.answers("begun", ProviderError("The provider is down.", details={"kind": "server"}))
    turn = await bench.start(session_id)
    await turn.done.wait()
    with pytest.raises(MeerkatError) as failed:
        turn.outcome()
    assert failed.value.code == "PROVIDER_ERROR"
    assert failed.value.details["session_id"] == session_id
    messages = await bench.history(session_id)
    assert roles(messages)[2:] == ["user", "block_assistant", "system_notice"]
    assert (await bench.sessions.read(session_id))["last_turn"]["state"] == "failed"


async def test_an_unexpected_exception_becomes_an_error_without_its_text(bench: Bench, caplog):
    session_id = await bench.created()
    bench.provider.answers(ZeroDivisionError("secret text"))
    turn = await bench.start(session_id)
    await turn.done.wait()
    with pytest.raises(MeerkatError) as failed:
        turn.outcome()
    assert failed.value.code == "INTERNAL_ERROR"
    assert "secret" not in failed.value.message
    assert failed.value.details["reference"] in caplog.text


async def test_nothing_is_stored_when_the_model_cannot_be_used(bench: Bench):
    bench.agents.refusal = ProviderNotConfigured("No key.")
    with pytest.raises(ProviderNotConfigured):
        await bench.create()
    session_id = await _created_despite(bench)
    with pytest.raises(ProviderNotConfigured):
        await bench.start(session_id)
    bench.agents.refusal = None
    assert len(await bench.history(session_id)) == 2
    bench.provider.answers("free again")
    turn = await bench.start(session_id)
    await turn.done.wait()


async def _created_despite(bench: Bench) -> str:
    refusal, bench.agents.refusal = bench.agents.refusal, None
    session_id = await bench.created()
    bench.agents.refusal = refusal
    return session_id


async def test_an_archived_session_refuses_turns_and_keeps_its_history(bench: Bench):
    session_id = await bench.created()
    await bench.sessions.set_archived(session_id, True)
    with pytest.raises(SessionArchived):
        await bench.start(session_id)
    with pytest.raises(SessionArchived):
        await bench.sessions.set_archived(session_id, True)
    with pytest.raises(SessionArchived):
        await bench.sessions.set_labels(session_id, {"a": "b"})
    assert len(await bench.history(session_id)) == 2
    assert (await bench.sessions.read(session_id))["archived"] is True
    await bench.sessions.set_archived(session_id, False)
    bench.provider.answers("back")
    turn = await bench.start(session_id)
    await turn.done.wait()


async def test_a_running_session_cannot_be_archived(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers(gate, "x")
    await bench.start(session_id)
    with pytest.raises(SessionBusy):
        await bench.sessions.set_archived(session_id, True)
    gate.open()


async def test_an_unknown_session_is_not_found_by_any_verb(bench: Bench):
    unknown = new_session_id()
    for verb in (
        lambda: bench.start(unknown),
        lambda: bench.sessions.read(unknown),
        lambda: bench.sessions.history(unknown, offset=0, limit=1),
        lambda: bench.sessions.interrupt(unknown, turn_id=None, by=BY),
        lambda: bench.sessions.set_archived(unknown, True),
        lambda: bench.sessions.turn(unknown, None),
    ):
        with pytest.raises(SessionNotFound):
            await verb()


async def test_a_deferred_session_runs_its_prompt_with_that_of_its_first_turn(bench: Bench):
    session_id, turn = await bench.create("first", deferred=True)
    assert turn is None
    info = await bench.sessions.read(session_id)
    assert (info["message_count"], info["staged_prompt"]) == (0, "first")
    bench.provider.answers("ok")
    turn = await bench.start(session_id, "second")
    await turn.done.wait()
    assert (await bench.history(session_id))[0]["content"] == "first\n\nsecond"
    assert "staged_prompt" not in await bench.sessions.read(session_id)


async def test_a_turn_may_change_the_model_for_those_after_it(bench: Bench):
    session_id = await bench.created()
    bench.provider.answers("a")
    await (await bench.start(session_id, options=AgentOptions(model="scripted-2"))).done.wait()
    assert (await bench.sessions.read(session_id))["model"] == "scripted-2"


async def test_a_session_remembers_the_generation_of_the_config_it_was_built_with(bench: Bench):
    assert (await bench.sessions.read(await bench.created()))["config_generation"] == 4


class Client:
    """A connected client with one tool."""

    def __init__(self, bench: Bench, *names: str) -> None:
        self.calls: list[str] = []
        self.gate = Gate()
        specs = [ToolSpec(name=name, description="", input_schema={"type": "object"}) for name in names]
        bench.tools.register(specs, self)

    async def execute(self, call_id, name, arguments, *, timeout):
        self.calls.append(call_id)
        match name:
            case "fail":
                raise RuntimeError("it broke")
            case "vanish":
                raise ConnectionError
            case "slow":
                raise TimeoutError
            case "hang":
                await self.gate.wait()
        return f"{name} says {arguments}", False


async def test_a_tool_is_called_and_its_result_goes_to_the_model(bench: Bench):
    session_id = await bench.created()
    Client(bench, "echo")
    bench.provider.answers(tool_call("echo", x=1))
    bench.provider.answers("done")
    turn = await bench.start(session_id)
    await turn.done.wait()
    result = turn.outcome()
    assert (result["turns"], result["tool_calls"], result["text"]) == (2, 1, "done")
    messages = await bench.history(session_id)
    assert roles(messages)[2:] == ["user", "block_assistant", "tool_results", "block_assistant"]
    assert messages[4]["results"] == [{"tool_use_id": "call_1", "content": "echo says {'x': 1}", "is_error": False}]
    ledger = (await bench.sessions.turn(session_id, None))["tool_calls"]
    assert [(call["name"], call["fate"]) for call in ledger] == [("echo", "ran")]


@pytest.mark.parametrize("name", ["fail", "vanish", "slow", "unknown"])
async def test_a_tool_that_fails_is_told_to_the_model_and_the_turn_goes_on(bench: Bench, name: str):
    session_id = await bench.created()
    Client(bench, "fail", "vanish", "slow")
    bench.provider.answers(tool_call(name))
    bench.provider.answers("I see")
    turn = await bench.start(session_id)
    await turn.done.wait()
    assert turn.outcome()["text"] == "I see"
    assert (await bench.history(session_id))[4]["results"][0]["is_error"] is True


async def test_a_call_whose_arguments_cannot_be_read_is_not_run_and_told_to_the_model(bench: Bench):
    session_id = await bench.created()
    client = Client(bench, "echo")
    call = tool_call("echo")
    call.blocks[0]["data"]["meta"] = {MALFORMED_ARGS: '{"x": '}
    bench.provider.answers(call)
    bench.provider.answers("sorry")
    await (await bench.start(session_id)).done.wait()
    assert client.calls == []
    result = (await bench.history(session_id))[4]["results"][0]
    assert result["is_error"] is True
    assert '{"x": ' in result["content"]
    assert (await bench.sessions.turn(session_id, None))["tool_calls"][0]["fate"] == "never_ran"


async def test_a_server_that_numbers_its_calls_anew_in_each_answer_keeps_its_whole_ledger(bench: Bench):
    session_id = await bench.created()
    Client(bench, "echo")
    for number in range(3):
        bench.provider.answers(tool_call("echo", n=number))
    bench.provider.answers("done")
    await (await bench.start(session_id)).done.wait()
    ledger = (await bench.sessions.turn(session_id, None))["tool_calls"]
    assert [call["call_id"] for call in ledger] == ["call_1", "call_1#2", "call_1#3"]
    assert [call["arguments"] for call in ledger] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert {call["fate"] for call in ledger} == {"ran"}


async def test_an_interrupt_among_tools_tells_each_of_them_apart(bench: Bench):
    """A transcript in which every call has a result is one that each provider accepts on the next turn."""
    session_id = await bench.created()
    client = Client(bench, "echo", "hang")
    calls = tool_calls(("echo", "one", {}), ("hang", "two", {}))
    bench.provider.answers(calls)
    await bench.start(session_id)
    await client.gate.reached.wait()
    await trio.testing.wait_all_tasks_blocked()
    await bench.sessions.interrupt(session_id, turn_id=None, by=BY)
    results = (await bench.history(session_id))[4]["results"]
    assert [(each["tool_use_id"], each["is_error"]) for each in results] == [("one", False), ("two", True)]
    assert "may have run" in results[1]["content"]
    ledger = (await bench.sessions.turn(session_id, None))["tool_calls"]
    assert [call["fate"] for call in ledger] == ["ran", "may_have_run"]


async def test_events_of_a_turn_are_whole_and_end_with_its_outcome(bench: Bench):
    session_id = await bench.created()
    Client(bench, "echo")
    bench.provider.answers("let me see ", tool_call("echo"))
    bench.provider.answers("do", "ne")
    turn = await bench.start(session_id)
    kinds = []
    async with bench.sessions.hold(session_id) as session:
        async for envelope in session.events.follow(turn.first_cursor, until=lambda: turn.last_cursor):
            kinds.append(envelope["payload"]["type"])
    assert kinds[:3] == ["run_started", "turn_started", "text_delta"]
    assert kinds[-4:] == ["text_delta", "text_complete", "turn_completed", "run_completed"]
    assert "tool_execution_completed" in kinds
    assert turn.outcome()["cursor"] == turn.last_cursor


async def test_a_caller_that_goes_away_does_not_take_its_turn_with_it(bench: Bench):
    session_id = await bench.created()
    gate = Gate()
    bench.provider.answers("x", gate, "y")
    with trio.CancelScope() as caller:
        turn = await bench.start(session_id)
        caller.cancel()
        await trio.lowlevel.checkpoint()
    gate.open()
    await turn.done.wait()
    assert turn.outcome()["text"] == "xy"


async def test_usage_adds_up_over_a_session(bench: Bench):
    session_id = await bench.created()
    bench.provider.answers("a", "b")
    await (await bench.start(session_id)).done.wait()
    assert (await bench.sessions.read(session_id))["usage"] == {
        "input_tokens": 14,
        "output_tokens": 3,
        "total_tokens": 17,
    }
