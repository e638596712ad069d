"""`rkat-rpc` as a process: what its client sees, also when something dies, stops reading or is too large."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tests.rpc.rpc_kit import PATIENCE_SECONDS, Client, Place, code, memory
from tests.support.gated_model import Gate, GatedModel, ToolCall

from meerkat_client.wire.paths import places

# Of the standard library and of ours, what a shim that serves may have loaded beyond a bare interpreter with cbor2 and
# socket. Each is paid a hundred times when a hundred run.
ALLOWED = frozenset(
    (
        "gc", "_json", "json", "json.decoder", "json.encoder", "json.scanner", "fcntl", "pwd", "struct", "_struct",
        "rkat_shims", "rkat_shims.rpc", "rkat_shims.rpc.__main__", "rkat_shims.rpc.answers", "rkat_shims.rpc.lines",
        "rkat_shims.rpc.link", "rkat_shims.rpc.loop", "rkat_shims.rpc.options", "rkat_shims.rpc.relay",
        "meerkat_client", "meerkat_client._dial", "meerkat_client.errors", "meerkat_client.wire",
        "meerkat_client.wire.codes", "meerkat_client.wire.credentials", "meerkat_client.wire.faults",
        "meerkat_client.wire.framing", "meerkat_client.wire.json_text", "meerkat_client.wire.limits",
        "meerkat_client.wire.paths", "meerkat_client.wire.peer", "meerkat_client.wire.version",
    )
)  # fmt: skip
_IMPORTS = (
    "import sys, cbor2, socket; before = set(sys.modules); from rkat_shims.rpc import __main__, loop; "
    "print(*sorted(set(sys.modules) - before))"
)
# Beside an interpreter that has imported cbor2 and socket; measured 1.2.
MEMORY_RATIO = 1.5
# A client that does not read may cost this much: what is kept for it, and two frames under way.
UNREAD_COST = 24 * 1024 * 1024


@pytest.fixture
def client(place: Place) -> Client:
    return place.client()


def test_a_client_that_closes_stdin_gets_its_answers_and_the_pipes_end(own_place: Place) -> None:
    """A daemon that kept the pipes of the shim that started it would let `communicate` wait for ever."""
    client = own_place.client()
    client.write(
        b'{"jsonrpc":"2.0","id":"a","method":"initialize"}\n{"jsonrpc":"2.0","id":"b","method":"session/list"}'
    )
    rest, status = client.end()
    assert status == 0
    assert [json.loads(each)["id"] for each in rest.splitlines()] == ["a", "b"]
    assert client.process.stderr is not None
    assert own_place.daemon_pid is not None
    assert psutil.pid_exists(own_place.daemon_pid)


def test_a_line_that_is_no_json_is_answered_and_the_next_one_is_served(client: Client) -> None:
    client.write(b"{nonsense\n\n   \n")
    assert code(client.reply(None)) == "PARSE_ERROR"
    assert client.call("session/list") == {"sessions": []}


def test_what_only_the_daemon_can_refuse_comes_with_its_words(client: Client) -> None:
    client.send({"jsonrpc": "1.0", "id": 1, "method": "session/list"})
    assert code(client.reply(1)) == "INVALID_REQUEST"
    client.send({"jsonrpc": "2.0", "id": True, "method": "session/list"})
    assert code(client.reply(None)) == "INVALID_REQUEST"
    assert client.error("session/nothing") == "METHOD_NOT_FOUND"
    assert client.error("session/read", {"session": "x"}) == "INVALID_PARAMS"


def test_clients_without_a_realm_get_one_each_and_keep_it(place: Place) -> None:
    first, second = (place.client().call("initialize")["realm_id"] for _ in range(2))
    assert first != second
    assert first.startswith("realm-")


def test_methods_that_initialize_names_are_there(client: Client) -> None:
    methods = client.call("initialize")["methods"]
    for method in methods:
        if method != "daemon/stop":
            assert client.reply(client.begin(method, {"no_such_field": 1})).get("error", {}).get("code") != -32601


def test_requests_too_large_are_refused_by_id_and_the_next_one_is_served(client: Client) -> None:
    assert client.error("turn/start", {"session_id": "last", "prompt": "x" * (2 << 20)}) == "REQUEST_TOO_LARGE"
    assert client.error("turn/start", {"session_id": "last", "prompt": "x" * (20 << 20)}) == "REQUEST_TOO_LARGE"
    assert client.call("session/list") == {"sessions": []}


def test_a_reply_may_overtake_and_a_request_may_be_taken_back(client: Client, model: GatedModel) -> None:
    gate = Gate()
    model.answers("slow", gate)
    slow = client.begin("session/create", {"prompt": "hello"})
    gate.wait_until_reached()
    client.call("session/list")
    client.send({"jsonrpc": "2.0", "method": "cancel", "params": {"request_id": slow}})
    assert code(client.reply(slow)) == "REQUEST_CANCELLED"


def test_an_id_in_flight_is_not_taken_twice(client: Client, model: GatedModel) -> None:
    gate = Gate()
    model.answers(gate, "done")
    client.send({"jsonrpc": "2.0", "id": "x", "method": "session/create", "params": {"prompt": "hello"}})
    gate.wait_until_reached()
    client.send({"jsonrpc": "2.0", "id": "x", "method": "session/list"})
    assert code(client.reply("x")) == "DUPLICATE_INPUT"
    gate.open()
    assert client.reply("x")["result"]["text"] == "done"


def test_events_of_a_turn_come_before_its_response(client: Client, model: GatedModel) -> None:
    model.answers("one", " two")
    call_id = client.begin("session/create", {"prompt": "hello"})
    client.reply(call_id)
    kinds = [line["params"]["event"]["payload"]["type"] for line in client.others]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_completed"
    assert kinds.count("text_delta") == 2


def test_a_request_in_flight_is_answered_after_stdin_has_ended(client: Client, model: GatedModel) -> None:
    gate = Gate()
    model.answers("half", gate, " whole")
    client.begin("session/create", {"prompt": "hello", "session_events": False})
    gate.wait_until_reached()
    assert client.process.stdin is not None
    client.process.stdin.close()
    gate.open()
    assert client.line()["result"]["text"] == "half whole"
    assert client.process.wait(PATIENCE_SECONDS) == 0


def test_a_tool_of_the_client_is_asked_over_the_pipe(client: Client, model: GatedModel) -> None:
    client.call("tools/register", {"tools": [{"name": "dice", "description": "Throw", "input_schema": {}}]})
    model.answers(ToolCall("dice", {"sides": 6}))
    model.answers("You threw a four.")
    call_id = client.begin("session/create", {"prompt": "throw", "session_events": False})
    asked = client.notification("tool/execute")
    assert asked["params"]["name"] == "dice"
    assert asked["params"]["arguments"] == {"sides": 6}
    client.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"content": "4", "is_error": False}})
    assert client.reply(call_id)["result"]["text"] == "You threw a four."


def test_a_dead_daemon_is_told_and_the_next_one_has_the_same_realm_and_tools(
    own_place: Place, model: GatedModel
) -> None:
    client = own_place.client()
    realm = client.call("initialize")["realm_id"]
    client.call("tools/register", {"tools": [{"name": "dice", "description": "Throw", "input_schema": {}}]})
    session = client.call("session/create", {"prompt": "hello", "session_events": False})["session_id"]
    stream = client.call("session/stream_open", {"session_id": session})["stream_id"]
    gate = Gate()
    model.answers("half", gate)
    turn = client.begin("turn/start", {"session_id": session, "prompt": "go"})
    gate.wait_until_reached()
    own_place.kill_daemon()
    assert code(client.reply(turn)) == "DAEMON_UNAVAILABLE"
    ended = client.notification("session/stream_end")["params"]
    assert (ended["stream_id"], ended["outcome"]) == (stream, "terminal_error")
    gate.open()

    model.answers(ToolCall("dice", {}))
    model.answers("You threw a four.")
    turn = client.begin("turn/start", {"session_id": session, "prompt": "again", "session_events": False})
    asked = client.notification("tool/execute")
    client.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"content": "4"}})
    assert client.reply(turn)["result"]["text"] == "You threw a four."
    assert client.call("initialize")["realm_id"] == realm


def test_without_a_daemon_every_request_is_told_why(own_place: Place) -> None:
    """A client that the process just left alone would learn no more than that a pipe has ended."""
    folder = Path(places(environ=own_place.env).runtime_dir)
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    client = own_place.client()
    assert client.error("initialize") == "PERMISSION_DENIED"
    assert client.error("session/list") == "PERMISSION_DENIED"
    rest, status = client.end()
    assert (rest, status) == (b"", 0)


def test_the_turn_of_a_client_that_was_killed_goes_on(place: Place, model: GatedModel) -> None:
    gate = Gate()
    model.answers("half", gate, " whole")
    first, second = place.client("--realm", "shared"), place.client("--realm", "shared")
    first.begin("session/create", {"prompt": "hello"})
    gate.wait_until_reached()
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    session = second.call("session/list")["sessions"][0]["session_id"]
    second.call("session/stream_open", {"session_id": session, "until": "turn_end"})
    gate.open()
    second.notification("session/stream_end")
    assert second.call("session/read", {"session_id": session})["last_assistant_text"] == "half whole"


def test_a_client_that_stops_reading_costs_a_bounded_amount_and_nobody_else_anything(
    place: Place, model: GatedModel
) -> None:
    stopped, other = place.client("--realm", "slow"), place.client("--realm", "slow")
    session = stopped.call("session/create", {"prompt": "x" * 900_000, "session_events": False})["session_id"]
    other.call("session/list")
    before = memory(stopped.process.pid)
    asked = [stopped.begin("session/history", {"session_id": session}) for _ in range(30)]
    for _ in range(30):
        assert len(other.call("session/list")["sessions"]) == 1
    assert other.call("turn/start", {"session_id": session, "prompt": "go", "session_events": False})["text"] == "ok"
    assert memory(stopped.process.pid) - before < UNREAD_COST
    for call_id in asked:
        assert len(stopped.reply(call_id)["result"]["messages"][0]["content"]) == 900_000


def test_a_client_that_leaves_stdout_ends_it_without_a_word(place: Place) -> None:
    client = place.client()
    client.call("session/list")
    assert client.process.stdout is not None
    assert client.process.stderr is not None
    client.process.stdout.close()
    assert client.process.wait(PATIENCE_SECONDS) == 0
    assert client.process.stderr.read() == b""


def test_an_argument_that_cannot_be_meant_ends_it_with_the_usage_status(place: Place) -> None:
    client = place.client("--realm", "a", "--isolated")
    rest, status = client.end()
    assert (rest, status) == (b"", 2)


def test_its_imports_are_few() -> None:
    """Measured: asyncio costs a shim 10 MiB and 60 ms, argparse 10 ms, and a hundred of them run at once."""
    printed = subprocess.run([sys.executable, "-c", _IMPORTS], capture_output=True, check=True, text=True).stdout
    assert set(printed.split()) - ALLOWED == set()


def test_its_memory_is_little_more_than_that_of_a_bare_interpreter(client: Client) -> None:
    bare = subprocess.Popen(
        [sys.executable, "-c", "import cbor2, socket; print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with bare:
        assert bare.stdout is not None
        bare.stdout.readline()
        client.call("initialize")
        ratio = memory(client.process.pid) / memory(bare.pid)
        bare.communicate(b"\n")
    assert ratio <= MEMORY_RATIO
