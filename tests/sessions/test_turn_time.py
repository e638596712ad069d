"""The time of a turn, on a clock of its own: what stops it, and what does not count."""

import pytest
import trio
import trio.testing
from tests.sessions.metered import meter_of

from meerkatd.agent.limits import Limits
from meerkatd.agent.port import ModelRequest
from meerkatd.errors import BudgetExhausted


async def test_a_turn_is_stopped_in_the_middle_when_its_time_is_up(autojump_clock: trio.testing.MockClock):
    meter, account, _ = meter_of(Limits(time=30_000))
    with pytest.raises(BudgetExhausted) as told, meter.running():
        await trio.sleep(100)
    assert trio.current_time() == pytest.approx(30)
    assert told.value.details["terminal_cause_kind"] == "time_budget_exceeded"
    meter.close()
    assert account.spent.time == 30_000


async def test_waiting_for_an_approval_does_not_count(autojump_clock: trio.testing.MockClock):
    meter, account, _ = meter_of(Limits(time=30_000))
    with meter.running():
        await trio.sleep(20)
        with meter.waiting():
            await trio.sleep(1000)
        await trio.sleep(9)
    meter.close()
    assert account.spent.time == 29_000


async def test_time_goes_on_when_the_last_of_several_approvals_has_come(autojump_clock: trio.testing.MockClock):
    meter, account, _ = meter_of(Limits(time=30_000))

    async def wait(seconds: float) -> None:
        with meter.waiting():
            await trio.sleep(seconds)

    async def work() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, 50)
            nursery.start_soon(wait, 70)
        await trio.sleep(100)

    with pytest.raises(BudgetExhausted), meter.running():
        await work()
    assert trio.current_time() == pytest.approx(100)
    meter.close()
    assert account.spent.time == 30_000


async def test_a_turn_without_limits_is_timed_all_the_same(autojump_clock: trio.testing.MockClock):
    meter, account, _ = meter_of(Limits())
    with meter.running():
        await trio.sleep(5)
    meter.close()
    assert account.spent.time == 5_000
    assert [charge.spent.time for charge in meter.unsaved] == [5_000]


async def test_a_warning_of_time_comes_before_a_call(autojump_clock: trio.testing.MockClock):
    meter, _, events = meter_of(Limits(time=10_000))
    with meter.running():
        await trio.sleep(8)
        with meter.call(ModelRequest(model="m", messages=[])):
            await trio.sleep(1)
    assert [(event["budget_type"], event["used"]) for event in events] == [("time", 8_000)]
