"""Lines and what becomes of them, without a process: reader, ids of unreadable lines, the relay's memory."""

import json
from typing import Any

import pytest

from meerkat_client.errors import RkatError
from meerkat_client.wire.framing import HEADER_BYTES, decode
from meerkat_client.wire.limits import MAX_DEPTH, MAX_REQUEST_FRAME, MAX_VALUES
from rkat_shims.rpc.answers import line
from rkat_shims.rpc.lines import HEAD_BYTES, MAX_KEPT_LINE, MAX_LINE, LineReader, LongLine, id_in_head
from rkat_shims.rpc.options import Options
from rkat_shims.rpc.relay import Forward, Greet, Relay, Reply

INFO = {"server_info": {"name": "meerkatd", "version": "0"}, "realm_id": "realm-1", "methods": ["session/list"]}


def request(call_id: Any = 1, method: str = "session/list", **more: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": call_id, "method": method, **more}).encode()


def replied(relay: Relay, text: bytes) -> dict[str, Any]:
    """The line that a relay answers at once."""
    action = relay.take(text)
    assert isinstance(action, Reply), action
    reply: dict[str, Any] = json.loads(action.line)
    return reply


def forwarded(relay: Relay, text: bytes) -> dict[str, Any]:
    """The message that goes to the daemon; decoded as strictly as the daemon does."""
    action = relay.take(text)
    assert isinstance(action, Forward), action
    message: dict[str, Any] = decode(action.frame[HEADER_BYTES:])
    return message


def lines_of(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(each) for each in data.splitlines()]


def refused(reply: dict[str, Any]) -> tuple[Any, str]:
    return reply["id"], reply["error"]["data"]["code"]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_lines_are_the_same_however_the_bytes_arrive(size: int) -> None:
    data = b'{"a":1}\n\n{"b":"\xc3\xa9"}\r\nrest'
    reader, found = LineReader(), []
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
        while (text := reader.next()) is not None:
            found.append(text)
    found.append(reader.finish())
    assert found == [b'{"a":1}', b"", b'{"b":"\xc3\xa9"}\r', b"rest"]
    assert reader.finish() is None


def test_a_line_too_long_to_be_kept_is_skipped_and_the_next_one_is_read() -> None:
    reader = LineReader()
    head = b'{"jsonrpc":"2.0","id":"big","method":"turn/start","params":{"prompt":"'
    reader.feed(head)
    chunk = b"x" * (1 << 20)
    for _ in range(20):
        reader.feed(chunk)
        assert reader.next() is None
    reader.feed(b'"}}\nnext\n')
    long = reader.next()
    assert isinstance(long, LongLine)
    assert (len(long.head), long.fatal) == (HEAD_BYTES, False)
    assert long.length == len(head) + 20 * len(chunk) + 3
    assert refused(replied(Relay(Options()), long)) == ("big", "REQUEST_TOO_LARGE")  # type: ignore[arg-type]
    assert reader.next() == b"next"


def test_a_line_that_never_ends_ends_the_reading() -> None:
    reader = LineReader()
    chunk = b"0" * MAX_KEPT_LINE
    found = None
    for _ in range(MAX_LINE // len(chunk) + 1):
        reader.feed(chunk)
        found = found or reader.next()
    assert isinstance(found, LongLine)
    assert found.fatal
    assert reader.dead
    reader.feed(b"\nmore\n")
    assert (reader.next(), reader.finish()) == (None, None)


@pytest.mark.parametrize(
    ("head", "call_id"),
    [
        (b'{"jsonrpc":"2.0","id": 7 ,"method"', 7),
        (b'{"params":{"id":1,"x":["id",{"id":2}]},"id":"\\u0061b","m', "ab"),
        (b'{"method":"id","params":{"id":3}', None),
        (b'{"id":1.5,', None),
        (b'{"id":12', None),
        (b'[{"id":1}', None),
        (b'{"id":"\\ud800",', None),
        (b"[" * 100_000, None),
    ],
)
def test_the_id_of_a_line_of_which_only_the_beginning_is_known(head: bytes, call_id: Any) -> None:
    assert id_in_head(head) == call_id


@pytest.mark.parametrize(
    ("text", "call_id", "code"),
    [
        (b"{bad", None, "PARSE_ERROR"),
        (b"\xff", None, "PARSE_ERROR"),
        (b'{"id":1,"method":', None, "PARSE_ERROR"),
        (b'{"id":1,"id":2}', 2, "PARSE_ERROR"),
        (b'{"id":5,"params":{"x":NaN}}', 5, "PARSE_ERROR"),
        (b'{"id":5,"params":{"x":"\\ud800"}}', 5, "PARSE_ERROR"),
        (b'{"id":"\\ud800","method":"x"}', None, "PARSE_ERROR"),
        (b'{"id":5,"params":{"x":1e999}}', 5, "PARSE_ERROR"),
        (b'{"id":5,"params":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", 5, "PARSE_ERROR"),
        (b"[" * 100_000, None, "PARSE_ERROR"),
        (b'{"id":5,"params":[' + b"0," * MAX_VALUES + b"0]}", 5, "PARSE_ERROR"),
        (b"[]", None, "INVALID_REQUEST"),
        (b'"text"', None, "INVALID_REQUEST"),
        (b"null", None, "INVALID_REQUEST"),
    ],
)
def test_a_line_that_is_no_message_is_answered_and_nothing_is_sent(text: bytes, call_id: Any, code: str) -> None:
    """A client's own encoder may write NaN and the like; it waits for its id, so that is found where it can be."""
    assert refused(replied(Relay(Options()), text)) == (call_id, code)


def test_blank_lines_are_skipped() -> None:
    assert [Relay(Options()).take(text) for text in (b"", b"  \t\r")] == [None, None]


def test_a_request_that_is_too_large_for_a_frame_is_answered_with_its_id() -> None:
    text = request(3, "turn/start", params={"prompt": "x" * MAX_REQUEST_FRAME})
    assert refused(replied(Relay(Options()), text)) == (3, "REQUEST_TOO_LARGE")


def test_a_request_of_more_values_than_the_daemon_reads_is_answered_with_its_id() -> None:
    """The daemon could only answer it with `id: null`, and its caller would wait for ever."""
    text = request(3, "turn/start", params={"x": {f"k{n}": 0 for n in range(MAX_VALUES // 2 + 10)}})
    relay = Relay(Options())
    assert refused(replied(relay, text))[0] == 3
    assert relay.in_flight == 0


@pytest.mark.parametrize("call_id", [0, -1, 2**63 - 1, "a", "", "é" * 512])
def test_ids_go_to_the_daemon_as_they_came(call_id: int | str) -> None:
    assert forwarded(Relay(Options()), request(call_id))["id"] == call_id


def test_a_second_request_with_an_id_in_flight_is_refused_until_the_first_is_answered() -> None:
    relay = Relay(Options())
    forwarded(relay, request(1))
    assert refused(replied(relay, request(1))) == (1, "DUPLICATE_INPUT")
    relay.deliver({"jsonrpc": "2.0", "id": 1, "result": {}})
    assert forwarded(relay, request(1))["id"] == 1


def test_initialize_is_answered_from_the_daemons_answer_under_the_public_name() -> None:
    relay = Relay(Options())
    action = relay.take(request("i", "initialize", params={"client_info": {"name": "x"}}))
    assert action == Greet("i")
    relay.connected(INFO)
    result = json.loads(relay.greeting("i", INFO, None))["result"]
    assert result["server_info"]["name"] == "meerkat-rpc"
    assert result["methods"] == ["session/list"]
    assert relay.realm == "realm-1"


def test_initialize_cannot_choose_another_realm_than_the_command_line() -> None:
    reply = replied(Relay(Options(realm="a")), request(1, "initialize", params={"realm_id": "b"}))
    assert refused(reply) == (1, "INVALID_PARAMS")


def test_the_default_model_goes_to_sessions_that_name_none() -> None:
    relay = Relay(Options(default_model="m"))
    assert forwarded(relay, request(1, "session/create", params={"prompt": "x"}))["params"]["model"] == "m"
    assert forwarded(relay, request(2, "session/create", params={"model": "n"}))["params"]["model"] == "n"
    assert "model" not in forwarded(relay, request(3, "turn/start", params={"prompt": "x"}))["params"]


def test_a_lost_daemon_answers_what_is_in_flight_and_ends_what_is_open() -> None:
    relay = Relay(Options())
    for call_id, method in ((1, "session/stream_open"), (2, "session/stream_open"), ("t", "turn/start")):
        forwarded(relay, request(call_id, method))
    for call_id, stream in ((1, "s1"), (2, "s2")):
        relay.deliver({"jsonrpc": "2.0", "id": call_id, "result": {"stream_id": stream, "session_id": "x"}})
    relay.deliver({"jsonrpc": "2.0", "method": "session/stream_end", "params": {"stream_id": "s1"}})
    answer, end = lines_of(relay.lost(RkatError("DAEMON_UNAVAILABLE", "gone")))
    assert refused(answer) == ("t", "DAEMON_UNAVAILABLE")
    assert end["method"] == "session/stream_end"
    assert end["params"] == {
        "stream_id": "s2",
        "session_id": "x",
        "ended": True,
        "outcome": "terminal_error",
        "error": {"code": "DAEMON_UNAVAILABLE", "message": "gone"},
    }
    assert relay.lost(RkatError("DAEMON_UNAVAILABLE", "gone")) == b""


def test_tools_are_kept_for_the_next_daemon_once_they_are_registered() -> None:
    relay = Relay(Options())
    first, second = ({"name": name, "description": "d", "input_schema": {}} for name in "ab")
    forwarded(relay, request(1, "tools/register", params={"tools": [first, second]}))
    assert relay.tools == []
    relay.deliver({"jsonrpc": "2.0", "id": 1, "result": {"registered": 2}})
    forwarded(relay, request(2, "tools/register", params={"tools": [{"name": "bad name"}]}))
    relay.deliver({"jsonrpc": "2.0", "id": 2, "error": {"code": -32602, "message": "no"}})
    assert relay.tools == [first, second]


def test_a_late_answer_to_a_question_of_a_dead_daemon_goes_to_nobody() -> None:
    """Each daemon numbers its questions from one, so a late answer would otherwise meet another's question."""
    relay = Relay(Options())
    question = {"jsonrpc": "2.0", "id": "srv-1", "method": "tool/execute", "params": {}}
    assert json.loads(relay.deliver(question))["id"] == "srv-1"
    relay.lost(RkatError("DAEMON_UNAVAILABLE", "gone"))
    assert json.loads(relay.deliver(question))["id"] == "srv-2"
    assert relay.take(b'{"jsonrpc":"2.0","id":"srv-1","result":{"content":"late"}}') is None
    answer = forwarded(relay, b'{"jsonrpc":"2.0","id":"srv-2","result":{"content":"x"}}')
    assert answer == {"jsonrpc": "2.0", "id": "srv-1", "result": {"content": "x"}}


@pytest.mark.parametrize(
    "content", ["x" * MAX_REQUEST_FRAME, "\ud800", "x" * (MAX_KEPT_LINE + 1)], ids=["large", "surrogate", "skipped"]
)
def test_an_answer_of_a_tool_that_cannot_be_sent_fails_the_call_instead_of_letting_it_wait(content: str) -> None:
    relay, reader = Relay(Options()), LineReader()
    relay.deliver({"jsonrpc": "2.0", "id": "srv-1", "method": "tool/execute", "params": {}})
    reader.feed(json.dumps({"jsonrpc": "2.0", "id": "srv-1", "result": {"content": content}}).encode())
    text = reader.next() or reader.finish()
    answer = forwarded(relay, text)  # type: ignore[arg-type]
    assert answer["id"] == "srv-1"
    assert answer["error"]["code"] == -32603


def test_no_line_has_a_character_that_somebody_takes_for_a_lines_end() -> None:
    """Node's readline and Python's splitlines end a line at U+2028, U+2029 and U+0085 too."""
    text = line({"text": "a\u2028b\u2029c\x85d\ne"}).decode()
    assert text.splitlines() == [text.rstrip("\n")]
    assert json.loads(text) == {"text": "a\u2028b\u2029c\x85d\ne"}
