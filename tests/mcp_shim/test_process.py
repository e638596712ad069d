"""`rkat-mcp` as a process on pipes: what it makes of rubbish, how it ends, and what it keeps away from stdout."""

import json
import os
import signal
import subprocess
import time

import psutil
import pytest
from tests.mcp_shim.agent_kit import AgentPlace, tool
from tests.rpc.rpc_kit import PATIENCE_SECONDS, code, memory
from tests.support.gated_model import Gate, GatedModel

MIB = 1024 * 1024
# Measured at 75 MiB, nearly all of it the SDK.
MOST_MEMORY = 110 * MIB


def test_rubbish_is_answered_line_by_line_and_nothing_breaks(place: AgentPlace):
    client = place.raw()
    for line, number in (
        (b"rubbish", -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}', -32700),
        (b"\xff\xfe{}", -32700),
        (b"[" * 100_000, -32700),
        (b"[]", -32600),
        (b'"text"', -32600),
        (b'{"id":7}', -32600),
        (b'{"jsonrpc":"1.0","id":7,"method":"ping"}', -32600),
    ):
        client.write(line + b"\n")
        assert client.line()["error"]["code"] == number, line
    client.write(b"\n \r\n")
    assert client.reply(client.begin("nothing/like/this"))["error"]["code"] == -32601
    assert client.reply(client.begin("tools/call", {"name": 1}))["error"]["code"] == -32602
    assert tool(client, "meerkat_sessions") == {"sessions": []}


def test_a_huge_line_is_refused_by_its_id_and_costs_no_memory(place: AgentPlace):
    client = place.raw()
    tool(client, "meerkat_sessions")
    before = memory(client.process.pid)
    client.write(b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"')
    for _ in range(40):
        client.write(b"x" * MIB)
    client.write(b'"}}\n')
    assert code(client.reply(5)) == "REQUEST_TOO_LARGE"
    assert tool(client, "meerkat_sessions") == {"sessions": []}
    assert memory(client.process.pid) - before < 30 * MIB
    # A prompt that a line can have and a frame cannot.
    assert tool(client, "meerkat_run", prompt="x" * 2 * MIB)["code"] == "REQUEST_TOO_LARGE"


def test_it_ends_with_its_input_and_answers_what_it_was_asked(place: AgentPlace):
    client = place.client()
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "pipe", "version": "1"}}
    client.begin("initialize", hello)
    client.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    asked = [client.begin("tools/call", {"name": "meerkat_run", "arguments": {"prompt": "hi"}}) for _ in range(3)]
    rest, status = client.end()
    assert status == 0
    answers = {each["id"]: each for each in map(json.loads, rest.splitlines()) if "id" in each}
    assert [answers[each]["result"]["structuredContent"]["text"] for each in asked] == ["ok"] * 3


@pytest.mark.parametrize("turn", [False, True], ids=["idle", "in a turn"])
def test_it_ends_in_time_whatever_runs(place: AgentPlace, model: GatedModel, turn: bool):
    """Stock clients wait two seconds after they have closed stdin, and then kill."""
    client = place.raw()
    if turn:
        gate = Gate()
        model.answers(gate)
        client.begin("tools/call", {"name": "meerkat_run", "arguments": {"prompt": "go"}})
        gate.wait_until_reached()
    begun = time.monotonic()
    assert client.end()[1] == 0
    assert time.monotonic() - begun < 10


def test_it_ends_when_nobody_reads(place: AgentPlace):
    client = place.raw()
    assert client.process.stdout is not None
    client.process.stdout.close()
    client.begin("tools/list")
    assert client.process.wait(PATIENCE_SECONDS) == 0


def test_an_interrupt_by_the_terminal_ends_it_and_leaves_the_turn(place: AgentPlace, model: GatedModel):
    gate = Gate()
    model.answers("on", gate)
    # A shell's background jobs ignore the signal, and their children do; a terminal's do not.
    command = ["env", "--default-signal=INT", str(place.program)]
    process = subprocess.Popen(
        [*command, "--realm", "kept"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=place.env, cwd=place.root
    )
    assert process.stdin is not None
    assert process.stdout is not None
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "tty", "version": "1"}}
    call = {"name": "meerkat_run", "arguments": {"prompt": "go"}}
    for message in (
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": call},
    ):
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    process.stdin.flush()
    gate.wait_until_reached()
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_SECONDS) == -signal.SIGINT
    process.stdin.close()
    process.stdout.close()
    assert place.rpc_client("kept").call("session/read", {"session_id": "last"})["is_active"] is True


def test_the_daemon_has_none_of_its_pipes_and_stdout_has_only_messages(own_place: AgentPlace):
    client = own_place.raw()
    tool(client, "meerkat_sessions")
    assert own_place.daemon_pid is not None
    pipes = {os.readlink(f"/proc/{client.process.pid}/fd/{each}") for each in (2,)}
    held = {os.readlink(each) for each in _descriptors(own_place.daemon_pid)}
    assert not pipes & held
    rest, status = client.end()
    assert (rest, status) == (b"", 0)
    # The daemon lives on, so none of our pipes may be held open by it.
    assert psutil.pid_exists(own_place.daemon_pid)


def _descriptors(pid: int) -> list[str]:
    return [f"/proc/{pid}/fd/{name}" for name in os.listdir(f"/proc/{pid}/fd")]


def test_it_goes_on_after_the_daemon_was_killed(own_place: AgentPlace, model: GatedModel):
    client = own_place.raw()
    ran = tool(client, "meerkat_run", prompt="hi")
    opened = tool(client, "meerkat_event_stream_open", session_id="last")
    own_place.kill_daemon()
    assert [row["session_id"] for row in tool(client, "meerkat_sessions")["sessions"]] == [ran["session_id"]]
    model.answers("again")
    assert tool(client, "meerkat_resume", session_id="last", prompt="more")["text"] == "again"
    item = tool(client, "meerkat_event_stream_read", stream_id=opened["stream_id"], no_timeout=True)
    assert item["status"] == "event"


def test_a_daemon_that_cannot_be_had_is_told_by_the_tool(own_place: AgentPlace):
    client = own_place.raw("--state-root", "/dev/null/nowhere")
    names = client.call("tools/list")["tools"]
    assert names
    error = tool(client, "meerkat_sessions")
    assert error["code"] in ("DAEMON_UNAVAILABLE", "PERMISSION_DENIED", "STORAGE_ERROR")
    assert error["hint"]


def test_realms_are_fresh_unless_told(place: AgentPlace):
    one, two = place.raw(), place.raw("--isolated")
    realms = [tool(each, "meerkat_realm")["realm_id"] for each in (one, two)]
    assert len({*realms}) == 2
    assert all(each.startswith("realm-") for each in realms)
    folder = place.root / "project"
    folder.mkdir(exist_ok=True)
    mine, shown = (
        place.raw("--workspace", str(folder), "--instance", "mine"),
        place.raw("--workspace", str(folder), "--expose-paths"),
    )
    assert tool(mine, "meerkat_realm")["realm_id"] == tool(shown, "meerkat_realm")["realm_id"]
    assert tool(mine, "meerkat_realm")["realm_id"].startswith("ws-")
    assert "resolved_paths" in tool(shown, "meerkat_config", action="get")
    wrong = place.raw("--realm-backend", "nothing-like-this")
    assert tool(wrong, "meerkat_sessions")["code"] == "INVALID_PARAMS"


def test_the_default_model_is_that_of_sessions_that_name_none(place: AgentPlace):
    client = place.raw("--default-model", "openai/of-the-flag")
    assert tool(client, "meerkat_run", prompt="hi")["model"] == "openai/of-the-flag"
    assert tool(client, "meerkat_run", prompt="hi", model="openai/mine")["model"] == "openai/mine"


def test_its_memory_is_that_of_the_sdk(place: AgentPlace):
    client = place.raw()
    tool(client, "meerkat_sessions")
    client.call("tools/list")
    assert memory(client.process.pid) < MOST_MEMORY
