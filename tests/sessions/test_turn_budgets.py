"""Budgets of turns, sessions and realms, over every store: what they stop, what is kept, and what is told."""

import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing
from tests.sessions.conftest import CALLER, Bench
from tests.support.scripted_provider import Gate, tool_call, tool_calls

from meerkatd.agent.agents import AgentDefaults
from meerkatd.agent.limits import Limits, RealmLimits
from meerkatd.agent.meter import estimate_input
from meerkatd.agent.port import Completed, ModelEvent, ModelRequest, TokenUsage, ToolSpec
from meerkatd.agent.prices import Price, Rates
from meerkatd.errors import BudgetExhausted, ConfigInvalid, InvalidParams, MeerkatError, ProviderError
from meerkatd.sessions.request import AgentOptions
from meerkatd.sessions.sessions import Sessions

# A dollar for a million tokens of input, two of output: 1,000 and 2,000 nano-dollars each.
PRICE = Price(tiers=((0, Rates.per_million({"input": 1, "output": 2})),))
ENOUGH = 100_000


class Settings:
    """What the config says, for tests to change."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.defaults = AgentDefaults(generation=4, prices={"scripted-1": PRICE})
        monkeypatch.setattr(bench.agents, "defaults", lambda: self.defaults)

    def realm(self, period: Any = "ever", **limits: int) -> None:
        self.defaults = replace(self.defaults, realm_limits=RealmLimits(limits=Limits(**limits), period=period))


@pytest.fixture
def settings(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return Settings(bench, monkeypatch)


def turn_of(**limits: int) -> AgentOptions:
    return AgentOptions(turn_limits=Limits(**limits))


def session_of(**limits: int) -> AgentOptions:
    return AgentOptions(session_limits=Limits(**limits))


def used(input_tokens: int, output_tokens: int, text: str = "x", **more: Any) -> Completed:
    return Completed(
        blocks=[{"block_type": "text", "data": {"text": text}}],
        stop_reason=more.pop("stop_reason", "end_turn"),
        usage=TokenUsage(input_tokens=input_tokens, output_tokens=output_tokens, **more),
    )


async def outcome(turn) -> dict[str, Any]:
    with trio.fail_after(5):
        await turn.done.wait()
    return turn.outcome()


async def exhausted(turn) -> MeerkatError:
    with pytest.raises(MeerkatError) as told:
        await outcome(turn)
    assert told.value.code == "BUDGET_EXHAUSTED"
    return told.value


async def charges(bench: Bench, session_id: str):
    return await bench.store.charges(session_id, limit=100)


async def events(bench: Bench, session_id: str, turn, kind: str) -> list[dict[str, Any]]:
    """The turn's events of a kind."""
    async with bench.sessions.hold(session_id) as session:
        following = session.events.follow(turn.first_cursor, until=lambda: turn.last_cursor)
        async with aclosing(following):
            return [event["payload"] async for event in following if event["payload"]["type"] == kind]


async def test_every_call_is_charged_with_its_price_and_the_result_tells_it(bench: Bench, settings: Settings):
    bench.provider.answers(used(1000, 10, cache_read_tokens=100))
    session_id, turn = await bench.create()
    assert (await outcome(turn))["cost"] == {"usd": 0.00102, "unpriced_calls": 0, "estimated": False}
    (charge,) = await charges(bench, session_id)
    assert (charge.model, charge.cost_nanos, charge.estimated) == ("scripted-1", 1_020_000, False)
    assert (await bench.sessions.read(session_id))["cost"]["usd"] == 0.00102


async def test_a_price_that_is_not_known_is_never_told_as_nothing(bench: Bench):
    bench.provider.answers(used(5, 5))
    session_id, turn = await bench.create()
    assert "cost" not in await outcome(turn)
    assert [charge.cost_nanos for charge in await charges(bench, session_id)] == [None]
    assert "cost" not in await bench.sessions.read(session_id)


@pytest.mark.parametrize("options", [turn_of(cost=10**9), session_of(cost=10**9)])
async def test_a_limit_of_money_is_refused_when_the_price_is_not_known(bench: Bench, options):
    with pytest.raises(InvalidParams):
        await bench.create(options=options)
    assert await bench.sessions.list(offset=0, limit=10, include_archived=True, labels={}) == []


async def test_a_limit_of_money_in_the_config_is_refused_when_the_price_is_not_known(bench: Bench, settings: Settings):
    settings.defaults = replace(settings.defaults, prices={})
    settings.realm(cost=5)
    with pytest.raises(ConfigInvalid):
        await bench.create()


async def test_a_call_is_given_no_longer_answer_than_the_budget_has_left(bench: Bench, settings: Settings):
    bench.provider.answers("fine")
    _, turn = await bench.create(options=turn_of(tokens=500))
    await outcome(turn)
    asked = bench.provider.requests[0].max_tokens
    assert asked is not None
    assert asked < 500


async def test_an_answer_that_the_budget_cut_short_is_kept_and_told_as_exhausted(bench: Bench, settings: Settings):
    bench.provider.answers(used(100, 300, "half of it", stop_reason="max_tokens"))
    session_id, turn = await bench.create(options=turn_of(tokens=500))
    error = await exhausted(turn)
    assert error.details["text"] == "half of it"
    assert (error.details["scope"], error.details["budget_type"]) == ("turn", "tokens")
    messages = await bench.history(session_id)
    assert messages[1]["blocks"][0]["data"]["text"] == "half of it"
    assert len(await charges(bench, session_id)) == 1


async def test_the_next_call_of_a_turn_does_not_begin_when_it_does_not_fit(bench: Bench, settings: Settings):
    tools = echo(bench)
    bench.provider.answers(tool_call("echo"))
    bench.provider.script[-1] = (replace(bench.provider.script[-1][0], usage=TokenUsage(input_tokens=900)),)
    session_id, turn = await bench.create(options=turn_of(tokens=1000))
    error = await exhausted(turn)
    assert tools == ["call_1"]
    assert error.details["used"] == 900
    assert len(bench.provider.requests) == 1
    roles = [message["role"] for message in await bench.history(session_id)]
    assert roles == ["user", "block_assistant", "tool_results", "system_notice"]


async def test_a_warning_comes_once_at_four_fifths_and_says_whose_and_of_what(bench: Bench, settings: Settings):
    echo(bench)
    for spent in (79_000, 2_000, 3_000):
        bench.provider.answers(replace(tool_call("echo", call_id=f"c{spent}"), usage=TokenUsage(input_tokens=spent)))
    bench.provider.answers("fine")
    session_id, turn = await bench.create(options=turn_of(tokens=100_000, tool_calls=10))
    await outcome(turn)
    assert await events(bench, session_id, turn, "budget_warning") == [
        {
            "type": "budget_warning",
            "budget_type": "tokens",
            "used": 81_000,
            "limit": 100_000,
            "percent": 81.0,
            "scope": "turn",
        }
    ]


async def test_a_turn_that_failed_for_its_budget_says_so_in_its_last_event(bench: Bench, settings: Settings):
    session_id, turn = await bench.create(options=turn_of(tokens=20))
    await exhausted(turn)
    (failed,) = await events(bench, session_id, turn, "run_failed")
    assert (failed["error_class"], failed["terminal_cause_kind"]) == ("budget_exhausted", "budget_exhausted")


async def test_a_session_goes_on_after_a_turn_has_used_up_its_own_budget(bench: Bench, settings: Settings):
    session_id, turn = await bench.create(options=turn_of(tokens=20))
    await exhausted(turn)
    bench.provider.answers("and on")
    assert (await outcome(await bench.start(session_id, options=turn_of(tokens=ENOUGH))))["text"] == "and on"


async def test_a_turn_keeps_to_the_limits_that_its_session_was_created_with(bench: Bench, settings: Settings):
    bench.provider.answers("one")
    session_id, turn = await bench.create(options=turn_of(tokens=ENOUGH, tool_calls=0))
    await outcome(turn)
    echo(bench)
    bench.provider.answers(tool_call("echo"))
    error = await exhausted(await bench.start(session_id))
    assert error.details["budget_type"] == "tool_calls"
    info = await bench.sessions.read(session_id)
    assert info["budget_limits"] == {"max_tokens": ENOUGH, "max_tool_calls": 0}


async def test_of_an_answer_with_more_tool_calls_than_are_left_none_runs(bench: Bench, settings: Settings):
    ran = echo(bench)
    bench.provider.answers(tool_calls(("echo", "a", {}), ("echo", "b", {})))
    session_id, turn = await bench.create(options=turn_of(tool_calls=1))
    await exhausted(turn)
    assert ran == []
    results = (await bench.history(session_id))[2]["results"]
    assert ["never ran" in result["content"] for result in results] == [True, True]


async def test_a_sessions_budget_counts_all_of_its_turns_and_a_restart_gives_nothing_back(
    bench: Bench, settings: Settings
):
    bench.provider.answers(used(700, 100))
    session_id, turn = await bench.create(options=session_of(tokens=1200))
    await outcome(turn)
    bench.provider.answers(used(100, 290))
    await outcome(await bench.start(session_id))
    again = reopened(bench)
    error = await exhausted(await start_in(again, session_id))
    assert (error.details["scope"], error.details["used"]) == ("session", 1190)
    bench.provider.answers("more")
    raised = await start_in(again, session_id, options=session_of(tokens=ENOUGH))
    assert (await outcome(raised))["text"] == "more"


async def test_a_session_that_has_nothing_left_refuses_before_anything_is_stored(bench: Bench, settings: Settings):
    bench.provider.answers(used(700, 400))
    session_id, turn = await bench.create(options=session_of(tokens=1000))
    await outcome(turn)
    before = await bench.history(session_id)
    with pytest.raises(BudgetExhausted):
        await bench.start(session_id)
    assert await bench.history(session_id) == before
    bench.provider.answers("free again")
    assert (await outcome(await bench.start(session_id, options=session_of(tokens=ENOUGH))))["text"] == "free again"


async def test_a_realms_budget_counts_all_sessions_and_a_restart_gives_nothing_back(bench: Bench, settings: Settings):
    settings.realm(cost=1_205_000)
    bench.provider.answers(used(1000, 100))
    _, turn = await bench.create()
    await outcome(turn)
    for sessions in (bench.sessions, reopened(bench)):
        _, turn = await sessions.create("more", caller=CALLER, options=AgentOptions(), labels={}, deferred=False)
        error = await exhausted(turn)
        assert (error.details["scope"], error.details["used"]) == ("realm", 1_200_000)


async def test_a_realm_that_has_nothing_left_makes_no_new_session(bench: Bench, settings: Settings):
    settings.realm(tokens=100)
    bench.provider.answers(used(100, 100))
    # The last call fits by its estimate, and comes out larger.
    _, turn = await bench.create()
    await outcome(turn)
    with pytest.raises(BudgetExhausted) as refused:
        await bench.create()
    assert refused.value.details["scope"] == "realm"
    assert len(await bench.sessions.list(offset=0, limit=10, include_archived=True, labels={})) == 1


async def test_a_new_day_brings_a_new_budget_and_a_clock_that_is_set_back_does_not(
    bench: Bench, settings: Settings, monkeypatch
):
    day = 86_400_000
    now = [1_700_000_000_000]
    sessions = reopened(bench, now_ms=lambda: now[0])
    settings.realm("day", tokens=100)

    async def spend() -> None:
        bench.provider.answers(used(100, 100))
        await ended(sessions, await create_in(sessions))

    await spend()
    with pytest.raises(BudgetExhausted):
        await create_in(sessions)
    now[0] += day
    await spend()
    now[0] -= day
    with pytest.raises(BudgetExhausted):
        await create_in(sessions)


async def test_parallel_turns_reserve_so_that_together_they_keep_the_realms_budget(bench: Bench, settings: Settings):
    """The second call does not begin, although nothing is spent yet: it would not fit once the first is settled."""
    settings.realm(tokens=600)
    gate = Gate()
    bench.provider.answers("a", gate, used(100, 300))
    _, first = await bench.create()
    await gate.reached.wait()
    _, second = await bench.create()
    error = await exhausted(second)
    assert error.details["reserved"] > 500
    assert error.details["used"] == 0
    gate.open()
    await outcome(first)
    bench.provider.answers("b")
    _, third = await bench.create()
    assert (await outcome(third))["text"] == "b"


async def test_many_turns_at_once_never_go_beyond_the_realms_budget(bench: Bench, settings: Settings):
    settings.realm(tokens=20_000, cost=40_000_000)
    settings.defaults = replace(settings.defaults, max_tokens=1500)
    bench.provider.stream = greedy  # type: ignore[method-assign]
    done: list[str] = []

    async def ask() -> None:
        try:
            _, turn = await bench.create()
        except BudgetExhausted:
            done.append("refused")
            return
        await turn.done.wait()
        done.append(turn.state)

    with trio.fail_after(20):
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                for _ in range(12):
                    nursery.start_soon(ask)
    rows = await bench.store.usage()
    assert done.count("completed") >= 10
    assert sum(row.usage.total_tokens for row in rows) <= 20_000
    assert sum(row.cost_nanos for row in rows) <= 40_000_000
    assert len(done) == 36


async def test_an_interrupted_call_is_charged_by_estimate_and_marked(bench: Bench, settings: Settings):
    gate = Gate()
    bench.provider.answers("thirty characters of an answer", gate)
    session_id, turn = await bench.create()
    await gate.reached.wait()
    turn.interrupt("by a test")
    await turn.done.wait()
    (charge,) = await charges(bench, session_id)
    assert charge.estimated
    assert charge.usage.output_tokens == 10
    assert charge.usage.input_tokens > 0
    assert (await bench.sessions.read(session_id))["cost"]["estimated"] is True


async def test_a_call_that_was_refused_costs_nothing_and_one_that_broke_off_does(bench: Bench, settings: Settings):
    bench.provider.answers(ProviderError("no", details={"kind": "rate_limited"}))
    session_id, turn = await bench.create()
    await turn.done.wait()
    assert [charge.usage.total_tokens for charge in await charges(bench, session_id)] in ([], [0])
    bench.provider.answers("some", ProviderError("gone", details={"kind": "dropped"}))
    await (await bench.start(session_id)).done.wait()
    last = (await charges(bench, session_id))[-1]
    assert (last.estimated, last.usage.output_tokens) == (True, 2)


async def test_a_server_that_counts_no_tokens_is_charged_by_estimate(bench: Bench, settings: Settings):
    bench.provider.answers(used(0, 0, "twelve chars"), "unused")
    bench.provider.script[-1] = ("twelve chars", used(0, 0, "twelve chars"))
    session_id, turn = await bench.create()
    await outcome(turn)
    (charge,) = await charges(bench, session_id)
    assert (charge.estimated, charge.usage.output_tokens) == (True, 4)


async def test_charges_of_calls_before_tools_are_durable_before_the_tools_run(bench: Bench, settings: Settings):
    """So a daemon that is killed while a tool runs has them."""
    gate = Gate()
    echo(bench, gate)
    bench.provider.answers(tool_call("echo"))
    session_id, turn = await bench.create()
    await gate.reached.wait()
    assert [charge.usage.total_tokens for charge in await charges(bench, session_id)] == [5]
    bench.provider.answers("done")
    gate.open()
    await outcome(turn)
    assert [charge.usage.total_tokens for charge in await charges(bench, session_id)][:2] == [5, 8]


@asynccontextmanager
async def greedy(request: ModelRequest) -> AsyncIterator[AsyncIterator[ModelEvent]]:
    """A model that uses all that it is given."""

    async def play() -> AsyncIterator[ModelEvent]:
        for _ in range(random.randrange(5)):
            await trio.lowlevel.checkpoint()
        yield used(estimate_input(request), request.max_tokens or 10**6)

    yield play()


def echo(bench: Bench, gate: Gate | None = None) -> list[str]:
    """Offers a tool; the ids of its calls."""
    ran: list[str] = []

    class Host:
        async def execute(self, call_id: str, name: str, arguments: Any, *, timeout: float) -> tuple[str, bool]:
            ran.append(call_id)
            if gate is not None:
                await gate.wait()
            return "echoed", False

    bench.tools.register([ToolSpec(name="echo", description="", input_schema={"type": "object"})], Host())
    return ran


def reopened(bench: Bench, **more: Any) -> Sessions:
    """The same store, after a restart of the daemon."""

    async def open_store(create: bool):
        await trio.lowlevel.checkpoint()
        return bench.store

    clock = iter(range(1_750_000_000_000, 1_800_000_000_000))
    options = {"now_ms": lambda: next(clock), **more}
    return Sessions("r", store=open_store, agents=bench.agents, nursery=bench.nursery, **options)


async def create_in(sessions: Sessions) -> str:
    session_id, _ = await sessions.create("hello", caller=CALLER, options=AgentOptions(), labels={}, deferred=False)
    return session_id


async def start_in(sessions: Sessions, session_id: str, options: AgentOptions | None = None):
    return await sessions.start_turn(session_id, "go on", caller=CALLER, options=options or AgentOptions())


async def ended(sessions: Sessions, session_id: str) -> None:
    async with sessions.hold(session_id) as session:
        if session.turn is not None:
            await session.turn.done.wait()
