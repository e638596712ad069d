"""Errors and events as classes: each code has a family, and nothing that a daemon sends is lost."""

import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

import meerkat_client
from meerkat_client import RkatError, SessionBusyError, TextDelta, UnknownEvent
from meerkat_client.errors import from_error_object
from meerkat_client.events import parse_envelope, parse_event
from meerkat_client.history import SessionMessage
from meerkat_client.results import SessionSummary
from meerkat_client.wire.codes import TABLE


@pytest.mark.parametrize("code", TABLE)
def test_every_code_has_a_family_that_is_public(code: str) -> None:
    error = RkatError(code, "why")
    assert type(error) is not RkatError
    assert getattr(meerkat_client, type(error).__name__) is type(error)
    assert error.code == code
    assert error.hint


def test_a_code_of_another_version_is_a_plain_error_and_keeps_its_name() -> None:
    error = from_error_object({"code": -1, "message": "m", "data": {"code": "NEWER_THAN_THIS", "message": "m"}})
    assert type(error) is RkatError
    assert error.code == "NEWER_THAN_THIS"


def test_busy_tells_the_holder() -> None:
    details = {"turn_id": "t", "started_at_ms": 1500, "surface": "cli", "client": "rkat", "cursor": 7}
    error = RkatError("SESSION_BUSY", "busy", details=details)
    assert isinstance(error, SessionBusyError)
    assert (error.turn_id, error.surface, error.client, error.cursor) == ("t", "cli", "rkat", 7)
    assert error.started_at == datetime.fromtimestamp(1.5, UTC)
    assert repr(error) == "<SessionBusyError SESSION_BUSY: busy>"


def test_an_error_survives_a_process_boundary() -> None:
    again = pickle.loads(pickle.dumps(RkatError("SESSION_BUSY", "busy", details={"turn_id": "t"})))  # noqa: S301
    assert isinstance(again, SessionBusyError)
    assert again.turn_id == "t"


def test_an_event_of_another_version_is_shown_as_it_came() -> None:
    assert parse_event({"type": "novel", "x": 1}, seq=3) == UnknownEvent(
        seq=3, type="novel", data={"type": "novel", "x": 1}
    )
    odd = parse_event({"type": "text_delta", "text": "other shape"}, seq=4)
    assert isinstance(odd, UnknownEvent)
    assert odd.type == "text_delta"


EVENTS: list[tuple[dict[str, Any], str]] = [
    ({"type": "turn_started", "turn_number": 1}, "TurnStarted"),
    ({"type": "reasoning_delta", "delta": "x"}, "ReasoningDelta"),
    ({"type": "reasoning_complete", "content": "x"}, "ReasoningComplete"),
    ({"type": "run_failed", "session_id": "s", "error": "e", "error_class": "c", "error_report": {}}, "RunFailed"),
    ({"type": "tool_execution_timed_out", "id": "i", "name": "n", "timeout_ms": 1}, "ToolExecutionTimedOut"),
    (
        {"type": "compaction_started", "input_tokens": 1, "estimated_history_tokens": 1, "message_count": 1},
        "CompactionStarted",
    ),
    (
        {"type": "compaction_completed", "summary_tokens": 1, "messages_before": 3, "messages_after": 1},
        "CompactionCompleted",
    ),
    ({"type": "compaction_failed", "reason": {"kind": "empty_summary"}}, "CompactionFailed"),
    (
        {
            "type": "retrying",
            "retry": {
                "plan": {"attempt": 1, "max_retries": 3, "selected_delay_ms": 5},
                "failure": {"message": "m"},
            },
        },
        "Retrying",
    ),
    (
        {
            "type": "budget_warning",
            "budget_type": "cost",
            "used": 8,
            "limit": 10,
            "percent": 80.0,
            "scope": "realm",
        },
        "BudgetWarning",
    ),
    ({"type": "stream_truncated", "reason": {"kind": "stream_lagged", "dropped": 2}}, "StreamTruncated"),
]


@pytest.mark.parametrize(("wire", "name"), EVENTS, ids=[name for _, name in EVENTS])
def test_every_kind_has_its_class(wire: dict[str, Any], name: str) -> None:
    assert type(parse_event(wire, seq=1)).__name__ == name


def test_an_envelope_carries_where_and_when() -> None:
    wire = {
        "event_id": "e",
        "source": {"type": "session", "session_id": "s"},
        "seq": 5,
        "timestamp_ms": 6,
        "payload": {"type": "text_delta", "delta": "x"},
    }
    envelope = parse_envelope(wire)
    assert (envelope.session_id, envelope.seq, envelope.timestamp_ms) == ("s", 5, 6)
    assert envelope.payload == TextDelta(seq=5, delta="x")


def test_fields_of_another_version_are_ignored() -> None:
    row = dict.fromkeys(SessionSummary.__slots__, 1)
    assert SessionSummary.parse({**row, "novel": 2}).created_at == 1
    message = SessionMessage.parse({"role": "user", "content": "x", "created_at": "t", "novel": 2})
    assert message.text == "x"
