"""The state of a stream, without any connection: what is asked, what is dropped, and what is told."""

from typing import Any

import pytest

from meerkat_client import RkatError, StreamTruncated, TextDelta, TurnLostError
from meerkat_client._protocol import Pending
from meerkat_client.errors import ConnectionLostError
from meerkat_client.following import Losses, SubscriptionFollower, TurnFollower
from meerkat_client.requests import turn

RESULT = {
    "session_id": "s",
    "session_ref": "r:s",
    "turn_id": "t",
    "text": "ab",
    "turns": 1,
    "tool_calls": 0,
    "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
    "model": "m",
    "provider": "p",
    "stop_reason": "end_turn",
    "cursor": 9,
}
LOST = ConnectionLostError("DAEMON_UNAVAILABLE", "gone")


def event(seq: int, kind: str, **fields: Any) -> dict[str, Any]:
    source = {"type": "session", "session_id": "s"}
    payload = {"type": kind, **fields}
    return {"event": {"event_id": str(seq), "source": source, "seq": seq, "timestamp_ms": 0, "payload": payload}}


def started(seq: int, run_id: str) -> dict[str, Any]:
    return event(seq, "run_started", session_id="s", input={"content": "go"}, identity={"run_id": run_id})


def opened(follower: TurnFollower | SubscriptionFollower) -> list[Pending]:
    pendings = [Pending(number, method) for number, (method, _) in enumerate(follower.openings())]
    follower.sent(pendings)
    return pendings


def test_a_turn_is_asked_for_with_its_events_and_after_a_loss_with_a_stream_from_the_last_one() -> None:
    follower = TurnFollower(turn("s", "go", {}), "s")
    ((method, params),) = follower.openings()
    assert (method, params["session_events"]) == ("turn/start", True)
    opened(follower)
    follower.take("session/event", event(7, "text_delta", delta="a"))
    (stream, stream_params), (again, again_params) = follower.openings()
    assert (stream, stream_params["cursor"]) == ("session/stream_open", 7)
    assert (again, again_params) == (method, {**params, "session_events": False})


def test_a_turn_of_which_nothing_was_seen_is_asked_for_anew_with_its_events() -> None:
    follower = TurnFollower(turn("s", "go", {}), "s")
    opened(follower)
    assert [method for method, _ in follower.openings()] == ["turn/start"]


def test_what_was_seen_before_is_dropped() -> None:
    follower = TurnFollower(turn("s", "go", {}), "s")
    assert isinstance(follower.take("session/event", event(2, "text_delta", delta="a")), TextDelta)
    assert follower.take("session/stream_event", event(2, "text_delta", delta="a")) is None
    assert follower.take("session/stream_event", event(1, "text_delta", delta="z")) is None
    assert isinstance(follower.take("session/stream_event", event(3, "text_delta", delta="b")), TextDelta)


def test_the_turn_of_somebody_else_that_follows_a_lost_one_is_not_shown() -> None:
    follower = TurnFollower(turn("s", "go", {}), "s")
    follower.take("session/event", started(1, "mine"))
    opened(follower)
    _, reply = opened(follower)
    assert follower.take("session/stream_event", started(5, "theirs")) is None
    assert follower.take("session/stream_event", event(6, "text_delta", delta="x")) is None
    reply.resolve(None, TurnLostError("TURN_LOST", "lost"))
    assert follower.settled()


def test_a_turn_whose_end_was_missed_tells_the_gap_before_its_result() -> None:
    follower = TurnFollower(turn("s", "go", {}), "s")
    opened(follower)
    (reply,) = opened(follower)
    assert not follower.settled()
    reply.resolve(RESULT, None)
    assert follower.settled()
    assert isinstance(follower.last_word(), StreamTruncated)
    assert follower.last_word() is None
    assert follower.result().text == "ab"


@pytest.mark.parametrize("code", ["SESSION_BUSY", "SESSION_NOT_FOUND"])
def test_a_turn_that_never_began_has_no_gap(code: str) -> None:
    follower = TurnFollower(turn("s", "go", {}), "s")
    opened(follower)
    (reply,) = opened(follower)
    reply.resolve(None, RkatError(code, "no"))
    assert follower.settled()
    assert follower.last_word() is None
    with pytest.raises(RkatError):
        follower.result()


def test_a_stream_that_is_refused_does_not_hold_up_the_result() -> None:
    follower = TurnFollower(turn("s", "go", {}), "s")
    follower.take("session/event", started(1, "t"))
    opened(follower)
    stream, reply = opened(follower)
    reply.resolve(RESULT, None)
    assert not follower.settled()
    stream.resolve(None, RkatError("STALE_CURSOR", "no"))
    assert follower.settled()
    assert isinstance(follower.last_word(), StreamTruncated)


def test_a_stream_that_is_lost_is_not_taken_for_refused() -> None:
    follower = TurnFollower(turn("s", "go", {}), "s")
    follower.take("session/event", started(1, "t"))
    opened(follower)
    stream, reply = opened(follower)
    reply.resolve(RESULT, None)
    stream.resolve(None, LOST)
    assert not follower.settled()


def test_a_subscription_goes_on_from_where_the_daemon_began_it() -> None:
    follower = SubscriptionFollower("last", None)
    (pending,) = opened(follower)
    assert not follower.opened()
    pending.resolve({"stream_id": "x", "session_id": "s", "opened": True, "cursor": 4}, None)
    assert follower.opened()
    assert follower.openings() == [("session/stream_open", {"session_id": "s", "cursor": 4})]


def test_only_lost_connections_are_forgiven_and_not_for_ever() -> None:
    losses = Losses()
    with pytest.raises(RkatError):
        losses.count(RkatError("DAEMON_UNAVAILABLE", "cannot be started"))
    with pytest.raises(ConnectionLostError):
        Losses().count(LOST, repeatable=False)
    losses = Losses()
    for _ in range(4):
        losses.count(LOST)
    with pytest.raises(ConnectionLostError):
        losses.count(LOST)
