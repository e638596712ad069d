"""The server's half without I/O: which message is admitted when."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat_client.wire.limits import MAX_ID_BYTES, MAX_IN_FLIGHT, MAX_METHOD_BYTES
from meerkatd.protocol.connection import Answer, Begin, CancelCall, Connection, Nothing, Refuse, State


def ask(method: str = "x", call_id: Any = 1, **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call_id, "method": method, **more}


def ready() -> Connection:
    connection = Connection()
    action = connection.receive(ask("initialize", 0))
    assert isinstance(action, Begin)
    connection.finish(action.call, None)
    return connection


def refused(action: Any) -> tuple[Any, str]:
    assert isinstance(action, Refuse)
    return action.reply["id"], action.reply["error"]["data"]["code"]


def test_nothing_is_admitted_before_initialize() -> None:
    assert refused(Connection().receive(ask("session/list", 7))) == (7, "INVALID_REQUEST")


def test_a_request_that_overtakes_the_reply_to_initialize_is_refused() -> None:
    connection = Connection()
    connection.receive(ask("initialize", 0))
    assert connection.state is State.INITIALIZING
    assert refused(connection.receive(ask("x", 1))) == (1, "INVALID_REQUEST")


def test_initialize_may_be_tried_again_after_it_failed() -> None:
    connection = Connection()
    action = connection.receive(ask("initialize", 0))
    assert isinstance(action, Begin)
    connection.finish(action.call, {"code": -1, "message": "", "data": {"code": "X", "message": "", "details": {}}})
    assert isinstance(connection.receive(ask("initialize", 0)), Begin)


def test_initialize_comes_once() -> None:
    assert refused(ready().receive(ask("initialize", 1))) == (1, "INVALID_REQUEST")


@pytest.mark.parametrize("phase", ["closing", "closed"])
def test_nothing_is_admitted_when_it_is_over(phase: str) -> None:
    connection = ready()
    getattr(connection, phase)()
    assert refused(connection.receive(ask())) == (1, "INVALID_REQUEST")


@pytest.mark.parametrize("call_id", [0, -5, 2**63 - 1, "", "a", "1", "x" * MAX_ID_BYTES])
def test_an_id_is_kept_as_it_came(call_id: Any) -> None:
    action = ready().receive(ask(call_id=call_id))
    assert isinstance(action, Begin)
    assert action.call.id == call_id
    assert type(action.call.id) is type(call_id)


@pytest.mark.parametrize("call_id", [None, True, 1.0, 2**63, -(2**63), [], {}, "x" * (MAX_ID_BYTES + 1)])
def test_an_id_that_cannot_be_echoed_is_refused_without_one(call_id: Any) -> None:
    assert refused(ready().receive(ask(call_id=call_id))) == (None, "INVALID_REQUEST")


def test_the_number_1_and_the_text_1_are_two_ids() -> None:
    connection = ready()
    assert isinstance(connection.receive(ask(call_id=1)), Begin)
    assert isinstance(connection.receive(ask(call_id="1")), Begin)


def test_an_id_in_flight_is_refused_and_a_finished_one_is_free_again() -> None:
    connection = ready()
    action = connection.receive(ask())
    assert isinstance(action, Begin)
    assert refused(connection.receive(ask())) == (1, "DUPLICATE_INPUT")
    connection.finish(action.call, None)
    assert isinstance(connection.receive(ask()), Begin)


def test_requests_beyond_the_limit_are_refused_until_one_is_finished() -> None:
    connection = ready()
    actions = [connection.receive(ask(call_id=number)) for number in range(MAX_IN_FLIGHT)]
    assert refused(connection.receive(ask(call_id="more"))) == ("more", "OVERLOADED")
    first = actions[0]
    assert isinstance(first, Begin)
    connection.finish(first.call, None)
    assert isinstance(connection.receive(ask(call_id="more")), Begin)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ([ask()], (None, "INVALID_REQUEST")),
        ("x", (None, "INVALID_REQUEST")),
        ({"id": 1, "method": "x"}, (1, "INVALID_REQUEST")),
        (ask(jsonrpc="1.0"), (1, "INVALID_REQUEST")),
        (ask(parms={}), (1, "INVALID_REQUEST")),
        (ask(method=""), (1, "INVALID_REQUEST")),
        (ask(method="x" * (MAX_METHOD_BYTES + 1)), (1, "INVALID_REQUEST")),
        (ask(method=5), (1, "INVALID_REQUEST")),
        (ask(params=[1]), (1, "INVALID_PARAMS")),
        ({"jsonrpc": "2.0", "id": 1}, (1, "INVALID_REQUEST")),
        ({"jsonrpc": "2.0", "id": "srv-1", "result": 1, "error": {}}, ("srv-1", "INVALID_REQUEST")),
    ],
)
def test_what_is_no_request_is_refused(message: Any, expected: tuple[Any, str]) -> None:
    assert refused(ready().receive(message)) == expected


def test_absent_and_null_params_are_the_same() -> None:
    for message in (ask(), ask(params=None)):
        action = ready().receive(message)
        assert isinstance(action, Begin)
        assert action.call.params is None


def test_cancel_names_a_call_in_flight() -> None:
    connection = ready()
    begun = connection.receive(ask(call_id="a"))
    action = connection.receive({"jsonrpc": "2.0", "method": "cancel", "params": {"request_id": "a"}})
    assert isinstance(begun, Begin)
    assert action == CancelCall(begun.call)


@pytest.mark.parametrize("params", [None, {}, [], {"request_id": "unknown"}, {"request_id": None}, {"request_id": [1]}])
def test_cancelling_nothing_does_nothing(params: Any) -> None:
    assert ready().receive({"jsonrpc": "2.0", "method": "cancel", "params": params}) == Nothing()


def test_unknown_notifications_are_ignored() -> None:
    assert ready().receive({"jsonrpc": "2.0", "method": "initialized"}) == Nothing()


def test_a_reply_of_the_client_is_an_answer() -> None:
    reply = {"jsonrpc": "2.0", "id": "srv-1", "result": {"a": 1}}
    assert ready().receive(reply) == Answer("srv-1", {"a": 1}, None)
    refusal = {"jsonrpc": "2.0", "id": "srv-1", "error": {"code": -1, "message": "no"}}
    assert ready().receive(refusal) == Answer("srv-1", None, "no")
    assert ready().receive({"jsonrpc": "2.0", "id": 5, "result": 1}) == Nothing()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("2.0"),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error", "request_id"]), inner
            )
        ),
    )
)
def test_any_value_is_classified_and_nothing_raises(message: Any) -> None:
    for connection in (Connection(), ready()):
        connection.receive(message)
