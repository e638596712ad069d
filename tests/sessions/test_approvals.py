"""Approvals: calls that wait for a person, whose first answer counts, and which survive their turn and their daemon."""

from typing import Any

import pytest
import trio
from tests.sessions.conftest import CALLER, OTHER, Bench
from tests.support.scripted_provider import tool_calls

from meerkatd.agent.approval import verdict
from meerkatd.agent.port import ToolSpec
from meerkatd.errors import ApprovalDecided, ApprovalNotFound, InvalidParams
from meerkatd.sessions.recovery import settle_lost_turns
from meerkatd.sessions.sessions import Sessions
from meerkatd.sessions.turn import Turn

LATER_MS = 1_900_000_000_000


class Host:
    """A client's tools, which tell what they were called with."""

    def __init__(self, bench: Bench, *names: str) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        bench.tools.register(
            [ToolSpec(name=name, description="", input_schema={"type": "object"}) for name in names], self
        )

    async def execute(self, call_id, name, arguments, *, timeout):
        self.calls.append((name, arguments))
        return "done", False


async def asking(bench: Bench, *calls: tuple[str, str, dict[str, Any]]) -> tuple[str, Turn]:
    """A turn whose model wants these calls."""
    session_id = await bench.created()
    bench.provider.answers(tool_calls(*calls))
    bench.provider.answers("fine")
    return session_id, await bench.start(session_id)


async def pending(bench: Bench, count: int = 1) -> list[Any]:
    with trio.fail_after(10):
        while True:
            found = await bench.sessions.approvals.list(session_id=None, states=["pending"], limit=10)
            if len(found) >= count:
                return found[::-1]
            await trio.testing.wait_all_tasks_blocked(0.001)


async def results(bench: Bench, session_id: str) -> list[tuple[str, bool]]:
    message = next(each for each in (await bench.history(session_id))[::-1] if each["role"] == "tool_results")
    return [(each["content"], each["is_error"]) for each in message["results"]]


WRITE = ("write", "call_1", {"path": "a"})


async def test_a_call_waits_until_somebody_allows_it(bench: Bench):
    bench.agents.policy = {"write": "ask"}
    host = Host(bench, "write")
    session_id, turn = await asking(bench, WRITE)
    (asked,) = await pending(bench)
    assert (asked["tool"], asked["arguments"], asked["session_id"], asked["turn_id"], asked["call_id"]) == (
        "write", {"path": "a"}, session_id, turn.turn_id, "call_1"
    )  # fmt: skip
    assert host.calls == []
    ledger = (await bench.sessions.turn(session_id, None))["tool_calls"]
    assert [call["fate"] for call in ledger] == ["never_ran"]
    allowed = await bench.sessions.approvals.decide(asked["approval_id"][:12], allow=True, reason=None, by=OTHER.holder)
    assert (allowed["state"], allowed["decided_by"]) == ("allowed", OTHER.holder)
    await turn.done.wait()
    assert host.calls == [("write", {"path": "a"})]
    assert (await bench.sessions.approvals.get(asked["approval_id"]))["state"] == "used"
    kinds = [envelope["payload"]["type"] for envelope in await events(bench, session_id)]
    assert kinds.index("approval_requested") < kinds.index("approval_decided") < kinds.index("tool_execution_started")


async def events(bench: Bench, session_id: str) -> list[Any]:
    async with bench.sessions.hold(session_id) as session:
        return session.events.since(0, limit=1000)


async def test_a_denied_call_is_not_run_and_the_model_is_told_why(bench: Bench):
    bench.agents.policy = {"*": "ask"}
    host = Host(bench, "write")
    session_id, turn = await asking(bench, WRITE)
    (asked,) = await pending(bench)
    await bench.sessions.approvals.decide(asked["approval_id"], allow=False, reason="not on a Friday", by=CALLER.holder)
    await turn.done.wait()
    ((told, is_error),) = await results(bench, session_id)
    assert is_error
    assert told.endswith("They said: not on a Friday")
    assert host.calls == []
    assert turn.outcome()["text"] == "fine"
    ledger = (await bench.sessions.turn(session_id, None))["tool_calls"]
    assert [call["fate"] for call in ledger] == ["never_ran"]


async def test_the_first_answer_counts_and_others_are_told_whose_it_was(bench: Bench):
    bench.agents.policy = {"write": "ask"}
    Host(bench, "write")
    _, turn = await asking(bench, WRITE)
    (asked,) = await pending(bench)
    answers: list[Any] = []

    async def answer(allow: bool, by: Any) -> None:
        try:
            await bench.sessions.approvals.decide(asked["approval_id"], allow=allow, reason=None, by=by)
            answers.append(by)
        except ApprovalDecided as late:
            answers.append(late)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer, True, CALLER.holder)
        nursery.start_soon(answer, False, OTHER.holder)
    winner = next(each for each in answers if isinstance(each, dict))
    (late,) = [each for each in answers if isinstance(each, ApprovalDecided)]
    assert late.details["decided_by"] == winner
    assert late.details["decided_at_ms"] > 0
    await turn.done.wait()


async def test_other_calls_of_the_answer_go_on_while_one_waits(bench: Bench):
    bench.agents.policy = {"write": "ask", "never": "deny"}
    host = Host(bench, "write", "read", "never")
    session_id, turn = await asking(bench, WRITE, ("read", "call_2", {}), ("never", "call_3", {}))
    (asked,) = await pending(bench)
    with trio.fail_after(10):
        while host.calls != [("read", {})]:
            await trio.testing.wait_all_tasks_blocked(0.001)
    await bench.sessions.approvals.decide(asked["approval_id"], allow=True, reason=None, by=CALLER.holder)
    await turn.done.wait()
    assert host.calls == [("read", {}), ("write", {"path": "a"})]
    assert [is_error for _, is_error in await results(bench, session_id)] == [False, False, True]


async def test_an_interrupt_withdraws_the_question(bench: Bench):
    bench.agents.policy = {"write": "ask"}
    Host(bench, "write")
    session_id, _ = await asking(bench, WRITE)
    (asked,) = await pending(bench)
    turn = await bench.sessions.interrupt(session_id, turn_id=None, by=CALLER.holder)
    assert turn.state == "interrupted"
    with pytest.raises(ApprovalDecided) as late:
        await bench.sessions.approvals.decide(asked["approval_id"], allow=True, reason=None, by=CALLER.holder)
    assert late.value.details["state"] == "cancelled"
    assert [content for content, _ in await results(bench, session_id)] == [
        "The turn was stopped; this call never ran."
    ]


async def lost(bench: Bench) -> tuple[str, Any]:
    """A turn that waits for an approval when its daemon dies; then a new daemon opens the store."""
    session_id, _ = await asking(bench, WRITE)
    (asked,) = await pending(bench)

    async def open_store(create: bool):
        await trio.lowlevel.checkpoint()
        return bench.store

    bench.sessions = Sessions(
        "r", store=open_store, agents=bench.agents, nursery=bench.nursery, now_ms=lambda: 1_900_000_000_000
    )
    await settle_lost_turns(bench.store, now_ms=1_900_000_000_000)
    bench.provider.script.clear()
    return session_id, asked


@pytest.mark.parametrize("allow", [True, False])
async def test_an_answer_after_a_crash_counts_once_for_the_same_call(bench: Bench, allow: bool):
    bench.agents.policy = {"write": "ask"}
    host = Host(bench, "write")
    session_id, asked = await lost(bench)
    notice = (await bench.history(session_id))[-1]["body"]
    assert "never ran: write (call_1)" in notice
    assert "Approval of write (call_1) was asked for" in notice
    assert (await bench.sessions.approvals.get(asked["approval_id"]))["state"] == "pending"
    await bench.sessions.approvals.decide(asked["approval_id"], allow=allow, reason=None, by=CALLER.holder)
    # Another call is asked about; the same one, with another id, is not. The second time it is.
    bench.provider.answers(tool_calls(("write", "call_7", {"path": "b"}), ("write", "call_8", {"path": "a"})))
    bench.provider.answers(tool_calls(("write", "call_9", {"path": "a"})))
    bench.provider.answers("fine")
    turn = await bench.start(session_id)
    (other,) = await pending(bench)
    assert other["arguments"] == {"path": "b"}
    await bench.sessions.approvals.decide(other["approval_id"], allow=False, reason=None, by=CALLER.holder)
    (again,) = await pending(bench)
    assert (again["arguments"], again["call_id"]) == ({"path": "a"}, "call_9")
    assert host.calls == ([("write", {"path": "a"})] if allow else [])
    await bench.sessions.approvals.decide(again["approval_id"], allow=False, reason=None, by=CALLER.holder)
    await turn.done.wait()


async def test_an_open_question_of_a_lost_turn_becomes_that_of_the_same_call(bench: Bench):
    bench.agents.policy = {"write": "ask"}
    host = Host(bench, "write")
    session_id, asked = await lost(bench)
    bench.provider.answers(tool_calls(("write", "call_5", {"path": "a"})))
    bench.provider.answers("fine")
    turn = await bench.start(session_id)
    with trio.fail_after(10):
        while (now := (await pending(bench))[0])["call_id"] != "call_5":
            await trio.testing.wait_all_tasks_blocked(0.001)
    assert (now["approval_id"], now["turn_id"]) == (asked["approval_id"], turn.turn_id)
    await bench.sessions.approvals.decide(asked["approval_id"], allow=True, reason=None, by=CALLER.holder)
    await turn.done.wait()
    assert host.calls == [("write", {"path": "a"})]


async def test_two_same_calls_are_two_questions(bench: Bench):
    bench.agents.policy = {"write": "ask"}
    host = Host(bench, "write")
    _, turn = await asking(bench, WRITE, ("write", "call_2", {"path": "a"}))
    first, second = await pending(bench, 2)
    await bench.sessions.approvals.decide(first["approval_id"], allow=True, reason=None, by=CALLER.holder)
    await bench.sessions.approvals.decide(second["approval_id"], allow=False, reason=None, by=CALLER.holder)
    await turn.done.wait()
    assert len(host.calls) == 1


@pytest.mark.parametrize("reference", ["nothing", "01", ""])
async def test_an_approval_that_does_not_exist_is_told(bench: Bench, reference: str):
    with pytest.raises(ApprovalNotFound):
        await bench.sessions.approvals.get(reference)


async def test_a_shortened_id_has_to_be_the_only_one(bench: Bench):
    bench.agents.policy = {"write": "ask"}
    Host(bench, "write")
    await asking(bench, WRITE, ("write", "call_2", {"path": "b"}))
    first, _ = await pending(bench, 2)
    with pytest.raises(InvalidParams):
        await bench.sessions.approvals.get(first["approval_id"][:6])


@pytest.mark.parametrize(
    ("policy", "name", "said"),
    [
        ({}, "shell", "allow"),
        ({"*": "ask"}, "shell", "ask"),
        ({"*": "ask", "read_*": "allow"}, "read_file", "allow"),
        ({"mcp__*": "ask", "mcp__time__*": "allow", "mcp__time__set": "deny"}, "mcp__time__set", "deny"),
        ({"mcp__*": "ask", "mcp__time__*": "allow"}, "mcp__time__get", "allow"),
        ({"shell*": "allow", "shell": "ask"}, "shell", "ask"),
        ({"a?": "allow", "?b": "deny"}, "ab", "deny"),
    ],
)
def test_the_pattern_that_says_most_decides_and_of_two_the_stricter(policy, name, said):
    assert verdict(policy, name) == said
