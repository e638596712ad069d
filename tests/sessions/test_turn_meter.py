"""Many meters over one realm's account, on schedules that nobody would think of, on a clock of its own."""

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sessions.metered import meter_of

from meerkatd.agent.limits import Limits
from meerkatd.agent.meter import estimate_input
from meerkatd.agent.port import ModelRequest, TokenUsage
from meerkatd.errors import BudgetExhausted
from meerkatd.sessions.budget import Account

# (begins at, takes, calls, share of the answer's limit that is used, interrupted after)
turns = st.lists(
    st.tuples(st.floats(0, 20), st.floats(0, 10), st.integers(1, 4), st.floats(0, 1), st.none() | st.floats(0, 10)),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(limit=st.integers(1, 4000), schedule=turns)
def test_turns_side_by_side_never_overshoot_their_realm(limit, schedule) -> None:
    realm = Account("realm", Limits(tokens=limit))
    request = ModelRequest(model="m", messages=[], system="x" * 150, max_tokens=700)

    async def turn(begins, takes, calls, share, interrupted) -> None:
        meter, _, _ = meter_of(Limits(), realm)
        await trio.sleep(begins)
        try:
            with trio.move_on_after(float("inf") if interrupted is None else interrupted), meter.running():
                for _ in range(calls):
                    with meter.call(request) as call:
                        await trio.sleep(takes)
                        output = int((call.request.max_tokens or 0) * share)
                        usage = TokenUsage(input_tokens=estimate_input(request), output_tokens=max(1, output))
                        call.completed(usage, cut=share == 1)
        except BudgetExhausted:
            pass
        meter.close()
        assert realm.spent.tokens + realm.reserved.tokens <= limit

    async def play() -> None:
        async with trio.open_nursery() as nursery:
            for each in schedule:
                nursery.start_soon(turn, *each)

    trio.run(play, clock=trio.testing.MockClock(autojump_threshold=0))
    assert realm.reserved.tokens == realm.reserved.cost == 0
    assert realm.spent.tokens <= limit
