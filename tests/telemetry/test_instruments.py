"""Counting and timing: any thread may, and what comes out adds up."""

import threading

import pytest

from meerkatd.instruments import Counter, Histogram, set_tracer, span


def test_counts_of_many_threads_add_up() -> None:
    """The stores count in threads of their own, and `+=` on a number in memory is not one step."""
    counter = Counter("things", "Things.", labels=("kind",))

    def work() -> None:
        for _ in range(2_000):
            counter.add("a")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(counter.samples()) == [(("a",), 8_000)]


def test_a_counter_that_has_counted_nothing_says_zero_unless_it_has_labels() -> None:
    assert list(Counter("things", "Things.").samples()) == [((), 0)]
    assert list(Counter("things", "Things.", labels=("kind",)).samples()) == []


@pytest.mark.parametrize(("value", "bucket"), [(0.5, 0), (1, 0), (1.5, 1), (2, 1), (3, 2)])
def test_a_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed(value: float, bucket: int) -> None:
    histogram = Histogram("seconds", "Seconds.", bounds=(1, 2))
    histogram.observe(value)
    ((_, counts, total),) = histogram.samples()
    assert [index for index, count in enumerate(counts) if count] == [bucket]
    assert total == value


def test_spans_cost_nothing_and_do_nothing_while_nobody_traces() -> None:
    set_tracer(None)
    assert span("turn", turn_id="1") is span("other")
