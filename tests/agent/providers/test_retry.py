"""When to try again, and how long to wait."""

import pytest

from meerkatd.agent.providers.fault import MAX_TEXT, clean, status_fault
from meerkatd.agent.providers.retry import RetryPolicy, retry_after_seconds


def test_the_wait_doubles_up_to_its_cap_and_then_it_is_over() -> None:
    policy = RetryPolicy(max_retries=8, jitter=0.0)
    waits = [policy.delay(attempt, retry_after=None) for attempt in range(1, 10)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, None]


@pytest.mark.parametrize(("drawn", "wait"), [(0.0, 0.45), (0.5, 0.5), (1.0, 0.55)])
def test_the_wait_is_moved_by_a_tenth_at_most(drawn: float, wait: float) -> None:
    assert RetryPolicy().delay(1, retry_after=None, draw=lambda: drawn) == pytest.approx(wait)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_the_wait_that_a_provider_asks_for_is_read_from_its_headers(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after_seconds(headers, now=60.0) == seconds


@pytest.mark.parametrize(
    ("status", "body", "headers", "retryable"),
    [
        (429, b'{"error": {"code": "insufficient_quota", "message": "no money"}}', {}, False),
        (429, b'{"error": {"code": "rate_limit_exceeded", "message": "slow down"}}', {}, True),
        (400, b"{}", {}, False),
        (400, b"{}", {"x-should-retry": "true"}, True),
        (500, b"{}", {"x-should-retry": "false"}, False),
        (599, b"", {}, True),
        (302, b"", {}, False),
    ],
)
def test_only_what_waiting_can_mend_is_tried_again(
    status: int, body: bytes, headers: dict[str, str], retryable: bool
) -> None:
    """An account without money answers 429 like one that is too fast, and no wait mends it."""
    fault = status_fault(status, body, headers=headers, retry_after=None, secret=None)
    assert fault.retryable is retryable


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "m", "type": "t"}}', "m"),
        (b'[{"error": {"message": "m"}}]', "m"),
        (b'{"error": "m"}', "m"),
        (b'{"detail": "m"}', "m"),
        (b"\xffm", "\ufffdm"),
        (b"", "it gave no reason"),
        (b"null", "null"),
    ],
)
def test_the_message_is_found_in_every_error_shape_in_use(body: bytes, said: str) -> None:
    fault = status_fault(400, body, headers={}, retry_after=None, secret=None)
    assert fault.message.endswith(f": {said}")


def test_foreign_text_is_cut_and_loses_its_control_characters() -> None:
    assert clean("a\x1b[31m\nb\u2028c") == "a [31m b c"
    assert len(clean("x" * 10_000)) == MAX_TEXT
