"""A budget's account: what is reserved counts, so calls side by side cannot overshoot, and thresholds warn once."""

from hypothesis import given
from hypothesis import strategies as st

from meerkatd.agent.limits import KINDS, Amounts, Limits
from meerkatd.sessions.budget import Account, reserve, settle, shortage


def account(**limits: int) -> Account:
    return Account("realm", Limits(**limits))


def test_what_is_reserved_is_not_left_for_others() -> None:
    one = account(tokens=100)
    assert reserve([one], Amounts(tokens=60)) is None
    assert one.left("tokens") == 40
    short = reserve([one], Amounts(tokens=41))
    assert short is not None
    assert (short.account, short.kind, short.wanted) == (one, "tokens", 41)
    assert one.left("tokens") == 40


def test_a_reservation_is_made_in_all_accounts_or_in_none() -> None:
    wide, narrow = account(tokens=1000), account(tokens=10)
    assert reserve([wide, narrow], Amounts(tokens=11)) is not None
    assert wide.reserved == narrow.reserved == Amounts()


def test_settling_puts_what_was_used_in_the_place_of_the_reserve() -> None:
    one = account(tokens=100, cost=1000)
    reserve([one], Amounts(tokens=60, cost=500))
    settle([one], Amounts(tokens=60, cost=500), Amounts(tokens=10, cost=7, time=3))
    assert one.reserved == Amounts()
    assert one.spent == Amounts(tokens=10, cost=7, time=3)


def test_an_account_that_is_used_up_in_one_thing_gives_others() -> None:
    one = Account("realm", Limits(tokens=10, tool_calls=5), spent=Amounts(tokens=50))
    assert shortage([one], Amounts(tool_calls=5)) is None
    assert shortage([one], Amounts(tokens=1)) is not None


def test_each_threshold_warns_once() -> None:
    one = account(tokens=100, time=1000)
    assert settle([one], Amounts(), Amounts(tokens=79)) == []
    (due,) = settle([one], Amounts(), Amounts(tokens=1))
    assert (due.kind, due.used, due.limit) == ("tokens", 80, 100)
    assert settle([one], Amounts(), Amounts(tokens=100)) == []
    assert [due.kind for due in settle([one], Amounts(), Amounts(time=900))] == ["time"]


def test_a_threshold_that_was_crossed_before_does_not_warn_again_but_a_raised_limit_does() -> None:
    one = Account("realm", Limits(tokens=100), spent=Amounts(tokens=90))
    assert settle([one], Amounts(), Amounts(tokens=1)) == []
    one.limit(Limits(tokens=1000))
    assert settle([one], Amounts(), Amounts(tokens=1)) == []
    assert [due.used for due in settle([one], Amounts(), Amounts(tokens=708))] == [800]


def test_a_new_period_begins_with_nothing_spent_and_keeps_what_is_reserved() -> None:
    one = Account("realm", Limits(tokens=100), spent=Amounts(tokens=100))
    settle([one], Amounts(tokens=-20), Amounts())
    one.begin_anew()
    assert one.left("tokens") == 80
    settle([one], Amounts(tokens=20), Amounts(tokens=85))
    assert one.left("tokens") == 15


steps = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.integers(1, 400)),
        st.tuples(st.just("end"), st.integers(0, 10), st.floats(0, 1)),
    ),
    max_size=60,
)


@given(limit=st.integers(1, 1000), schedule=steps)
def test_calls_side_by_side_never_go_beyond_the_limit_when_each_keeps_its_reserve(limit, schedule) -> None:
    """Whatever the order in which calls begin and end."""
    one, running = account(tokens=limit), []
    for kind, number, *share in schedule:
        if kind == "begin":
            wanted = Amounts(tokens=number)
            if reserve([one], wanted) is None:
                running.append(wanted)
        elif running:
            reserved = running.pop(number % len(running))
            settle([one], reserved, Amounts(tokens=int(reserved.tokens * share[0])))
        assert one.spent.tokens + one.reserved.tokens <= limit
        assert one.reserved == sum(running, Amounts())


@given(limit=st.integers(1, 1000), excess=st.integers(0, 50), schedule=steps)
def test_calls_that_use_more_than_they_reserved_overshoot_by_no_more_than_that(limit, excess, schedule) -> None:
    one, running, over = account(cost=limit), [], 0
    for kind, number, *_ in schedule:
        if kind == "begin":
            wanted = Amounts(cost=number)
            if reserve([one], wanted) is None:
                running.append(wanted)
        elif running:
            reserved = running.pop(number % len(running))
            settle([one], reserved, reserved + Amounts(cost=excess))
            over += excess
    assert one.spent.cost + one.reserved.cost <= limit + over


@given(st.lists(st.tuples(*[st.integers(0, 10**15)] * 4)))
def test_amounts_add_up_and_come_apart_again(rows) -> None:
    amounts = [Amounts(**dict(zip(KINDS, row, strict=True))) for row in rows]
    total = sum(amounts, Amounts())
    for each in amounts:
        total -= each
    assert total == Amounts()
