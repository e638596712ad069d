"""The blocking client: calls, notifications, the daemon's requests, Ctrl-C, and every way to lose the daemon."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.client.scripted_daemon import ScriptedDaemon

from meerkat_client._sync import BlockingClient
from meerkat_client.errors import RkatError
from meerkat_client.wire.limits import MAX_REQUEST_FRAME

Against = Callable[[Callable[[ScriptedDaemon], object]], BlockingClient]


def test_a_call_gives_its_result(against: Against) -> None:
    client = against(lambda daemon: daemon.answer({"a": 1}))
    assert client.call("x", {"b": 2}, timeout=5) == {"a": 1}


def test_an_error_reply_raises_with_everything_it_says(against: Against) -> None:
    def script(daemon: ScriptedDaemon) -> None:
        details = {"turn_id": "t", "hint": "wait", "retryable": False}
        data = {"code": "SESSION_BUSY", "message": "busy", "details": details}
        daemon.send({"id": daemon.receive()["id"], "error": {"code": -32002, "message": "busy", "data": data}})
        daemon.send({"id": daemon.receive()["id"], "error": {"code": -32003, "message": "idle"}})

    client = against(script)
    with pytest.raises(RkatError) as caught:
        client.call("x", timeout=5)
    error = caught.value
    assert (error.code, error.message, error.details) == ("SESSION_BUSY", "busy", {"turn_id": "t"})
    assert (error.hint, error.retryable, error.rpc_code) == ("wait", False, -32002)
    with pytest.raises(RkatError) as bare:
        client.call("x", timeout=5)
    assert (bare.value.code, bare.value.rpc_code) == ("SESSION_NOT_RUNNING", -32003)


def test_replies_may_come_in_any_order(against: Against) -> None:
    def script(daemon: ScriptedDaemon) -> None:
        ids = [daemon.receive()["id"] for _ in range(2)]
        for call_id in reversed(ids):
            daemon.send({"id": call_id, "result": call_id})

    client = against(script)
    first, second = client.begin("x"), client.begin("y")
    assert client.wait(first, timeout=5) == first.id
    assert client.wait(second, timeout=5) == second.id
    assert client.wait(first) == first.id


def test_notifications_are_delivered_in_order_and_before_the_result(against: Against) -> None:
    def script(daemon: ScriptedDaemon) -> None:
        request = daemon.receive()
        for number in range(5):
            daemon.notify("event", number=number)
        daemon.send({"id": request["id"], "result": "done"})

    client = against(script)
    seen: list[int] = []
    result = client.wait(client.begin("x"), lambda _, params: seen.append(params["number"]), timeout=5)
    assert (seen, result) == ([0, 1, 2, 3, 4], "done")


def test_notifications_that_nobody_waited_for_are_kept(against: Against) -> None:
    def script(daemon: ScriptedDaemon) -> None:
        daemon.notify("event", number=1)
        daemon.answer(None)
        daemon.notify("event", number=2)
        daemon.receive()

    client = against(script)
    client.call("x", timeout=5)
    events = client.events(timeout=5)
    assert [next(events), next(events)] == [("event", {"number": 1}), ("event", {"number": 2})]
    assert list(client.events(timeout=0.01)) == []


def test_the_daemons_requests_are_answered_while_waiting(against: Against) -> None:
    replies = []

    def script(daemon: ScriptedDaemon) -> None:
        request = daemon.receive()
        for number, method in enumerate(("add", "fail", "odd", "unknown"), 1):
            daemon.send({"id": f"srv-{number}", "method": method, "params": {"a": 2, "b": 3}})
            replies.append(daemon.receive())
        daemon.send({"id": request["id"], "result": None})

    client = against(script)
    client.on_request("add", lambda params: params["a"] + params["b"])
    client.on_request("fail", lambda params: params["missing"])
    client.on_request("odd", lambda _: {1, 2})
    client.call("x", timeout=5)
    assert replies[0] == {"jsonrpc": "2.0", "id": "srv-1", "result": 5}
    assert replies[1]["error"]["message"] == "'missing'"
    assert "set" in replies[2]["error"]["message"]
    assert replies[3]["error"]["code"] == -32601


def test_a_call_that_is_not_answered_in_time_is_taken_back(against: Against) -> None:
    def script(daemon: ScriptedDaemon) -> None:
        late = daemon.receive()
        assert daemon.receive() == {"jsonrpc": "2.0", "method": "cancel", "params": {"request_id": late["id"]}}
        daemon.send({"id": late["id"], "result": "late"})
        daemon.answer("next")

    client = against(script)
    with pytest.raises(TimeoutError):
        client.call("x", timeout=0.01)
    assert client.call("y", timeout=5) == "next"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"text": "\ud800"}, "INVALID_PARAMS"),
        ({"text": {1, 2}}, "INVALID_PARAMS"),
        ({"text": b"bytes"}, "INVALID_PARAMS"),
        ({"text": float("nan")}, "INVALID_PARAMS"),
        ({"text": "x" * MAX_REQUEST_FRAME}, "REQUEST_TOO_LARGE"),
    ],
)
def test_what_cannot_be_sent_fails_before_it_is_sent(against: Against, params: Any, code: str) -> None:
    """The daemon could not tell which request it was that it cannot read."""
    client = against(lambda daemon: daemon.answer("fine"))
    with pytest.raises(RkatError) as caught:
        client.begin("x", params)
    assert caught.value.code == code
    assert client.call("y", timeout=5) == "fine"


def test_a_lost_daemon_fails_every_call_and_says_so(against: Against) -> None:
    client = against(lambda daemon: daemon.receive())
    first, second = client.begin("x"), client.begin("y")
    for pending in (first, second):
        with pytest.raises(RkatError) as caught:
            client.wait(pending, timeout=5)
        assert caught.value.code == "DAEMON_UNAVAILABLE"
    with pytest.raises(RkatError):
        client.begin("z")
    with pytest.raises(RkatError):
        next(client.events(timeout=5))


@pytest.mark.parametrize("body", [b"\x00\x00\x00\x01\xff", b"\x00\x00\x00\x01\x00", b"\xff\xff\xff\xff"])
def test_a_daemon_that_talks_nonsense_is_left(against: Against, body: bytes) -> None:
    def script(daemon: ScriptedDaemon) -> None:
        daemon.receive()
        daemon.sock.sendall(body)
        daemon.receive()

    client = against(script)
    with pytest.raises(RkatError) as caught:
        client.call("x", timeout=5)
    assert caught.value.code == "DAEMON_UNAVAILABLE"


def test_the_daemons_last_words_are_read_although_it_has_closed(against: Against) -> None:
    closed = threading.Event()

    def script(daemon: ScriptedDaemon) -> None:
        data = {"code": "SHUTTING_DOWN", "message": "m", "details": {}}
        daemon.send({"id": None, "error": {"code": -32056, "message": "m", "data": data}})
        daemon.sock.close()
        closed.set()

    client = against(script)
    assert closed.wait(5)
    with pytest.raises(RkatError) as caught:
        client.call("x", {"text": "x" * 100_000}, timeout=5)
    assert caught.value.code == "SHUTTING_DOWN"


def test_a_large_request_and_a_daemon_that_sends_before_it_reads_do_not_block_each_other(against: Against) -> None:
    def script(daemon: ScriptedDaemon) -> None:
        for number in range(30):
            daemon.notify("event", number=number, padding="x" * 50_000)
        assert len(daemon.answer("ok")["params"]["text"]) == 1_000_000

    client = against(script)
    assert client.call("x", {"text": "x" * 1_000_000}, timeout=10) == "ok"
    events = client.events(timeout=5)
    assert [next(events)[1]["number"] for _ in range(30)] == list(range(30))


def interrupt_main() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_an_interrupted_wait_can_be_taken_up_again(against: Against) -> None:
    """What `rkat run` does: the first Ctrl-C interrupts the turn, and its outcome is then waited for."""

    def script(daemon: ScriptedDaemon) -> None:
        turn = daemon.receive()
        interrupt_main()
        assert daemon.answer("interrupted")["method"] == "turn/interrupt"
        daemon.send({"id": turn["id"], "result": "outcome"})

    client = against(script)
    pending = client.begin("turn/start")
    with pytest.raises(KeyboardInterrupt):
        client.wait(pending, timeout=10)
    assert client.call("turn/interrupt", timeout=5) == "interrupted"
    assert client.wait(pending, timeout=5) == "outcome"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_storm_of_interrupts_loses_no_byte(against: Against) -> None:
    """Without the gate a KeyboardInterrupt between recv() and the parser loses what was received."""
    rounds = 150

    def script(daemon: ScriptedDaemon) -> None:
        for number in range(rounds):
            request = daemon.receive()
            interrupt_main()
            daemon.notify("event", number=number)
            interrupt_main()
            daemon.send({"id": request["id"], "result": number})

    client = against(script)
    interrupts = 0
    # This test's own lines between two calls are no place for an interrupt.
    with client._gate.remembering:
        for number in range(rounds):
            pending = client.begin("x")
            while not pending.done:
                try:
                    client.wait(pending, timeout=10)
                except KeyboardInterrupt:
                    interrupts += 1
            assert pending.result() == number
        seen = [params["number"] for _, params in client._arrived]
    assert seen == list(range(rounds))
    assert interrupts > rounds / 2


def test_an_interrupted_handler_still_answers_the_daemon(against: Against) -> None:
    answers = []

    def script(daemon: ScriptedDaemon) -> None:
        request = daemon.receive()
        daemon.send({"id": "srv-1", "method": "tool/execute", "params": {}})
        answers.append(daemon.receive())
        daemon.send({"id": request["id"], "result": None})

    def handler(_: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    client = against(script)
    client.on_request("tool/execute", handler)
    pending = client.begin("x")
    with pytest.raises(KeyboardInterrupt):
        client.wait(pending, timeout=5)
    client.wait(pending, timeout=5)
    assert "error" in answers[0]


def test_a_program_with_its_own_interrupt_handler_keeps_it(against: Against) -> None:
    calls: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, _: calls.append(number))
    try:

        def script(daemon: ScriptedDaemon) -> None:
            request = daemon.receive()
            interrupt_main()
            daemon.send({"id": request["id"], "result": "ok"})

        assert against(script).call("x", timeout=5) == "ok"
    finally:
        signal.signal(signal.SIGINT, previous)
    assert calls == [signal.SIGINT]


def test_closing_twice_is_fine_and_the_state_can_be_seen() -> None:
    ours, theirs = socket.socketpair()
    client = BlockingClient(ours)
    assert repr(client) == "<BlockingClient in_flight=0>"
    client.close()
    client.close()
    assert repr(client) == "<BlockingClient closed>"
    with pytest.raises(RkatError):
        client.begin("x")
    theirs.close()
