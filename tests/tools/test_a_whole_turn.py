"""A turn with everything in it: files, a server that nobody here wrote, a question to a person, an answer that fits."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.gated_model import ToolCall
from tests.support.installed import installed
from tests.support.tool_house import MODEL, REALM, ToolHouse, tool_house

# The reference server of the protocol's own authors.
TIME_SERVER = ("mcp-server-time", "2026.10.19")
SCHEMA = {"type": "object", "properties": {"done": {"type": "boolean"}}, "required": ["done"]}


def rkat(house: ToolHouse, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line, as from another terminal."""
    environ = {**os.environ, "MEERKAT_RUNTIME_DIR": house.daemon.runtime_dir}
    command = [sys.executable, "-m", "rkat", "--state-root", house.daemon.state_root, "--realm", REALM, *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_a_turn_reads_asks_a_server_is_allowed_to_write_and_answers_as_it_has_to(tmp_path: Path):
    command = str(installed(*TIME_SERVER) / "bin" / "python")
    server = {"command": command, "args": ["-m", "mcp_server_time", "--local-timezone", "UTC"], "startup_timeout": 60}
    (tmp_path / "city.txt").write_text("Tokyo is nine hours ahead.\n")
    config = {
        "mcp": {"servers": {"time": server}},
        "tools": {"level": "workspace", "policy": {"write_file": "ask"}},
    }
    with tool_house(tmp_path, **config) as house, house.client() as client:
        convert = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
        house.model.answers(ToolCall("read_file", {"path": "city.txt"}, "call_1"))
        house.model.answers(ToolCall("mcp__time__convert_time", convert, "call_2"))
        house.model.answers(ToolCall("write_file", {"path": "time.txt", "content": "21:00\n"}, "call_3"))
        house.model.answers('{"done": true}')
        turn = house.create(client, "What time is it in Tokyo at noon?", output_schema=SCHEMA)
        asked = None
        for _, params in client.events(timeout=60):
            payload = params.get("event", {}).get("payload", {})
            if payload.get("type") == "approval_requested":
                asked = payload["approval"]
                break
        assert asked is not None
        assert not (tmp_path / "time.txt").exists()
        listed = json.loads(rkat(house, "--json", "approvals", "list").stdout)["approvals"]
        assert listed == [asked]
        shown = rkat(house, "approvals", "show", asked["approval_id"]).stdout
        assert re.search(r"path +\"time.txt\"", shown)
        assert rkat(house, "approvals", "allow", asked["approval_id"]).stdout == "allowed: write_file\n"
        result = client.wait(turn, timeout=60)
        assert result["structured_output"] == {"done": True}
        assert (tmp_path / "time.txt").read_text() == "21:00\n"
        late = rkat(house, "approvals", "deny", asked["approval_id"])
        assert (late.returncode, "APPROVAL_DECIDED" in late.stderr) == (81, True)
        assert house.ledger(client) == [
            ("read_file", "ran"),
            ("mcp__time__convert_time", "ran"),
            ("write_file", "ran"),
        ]
        history = client.call("session/history", {"session_id": "last"})["messages"]
        answers = [message["results"][0]["content"] for message in history if message["role"] == "tool_results"]
        assert answers[0] == "Tokyo is nine hours ahead."
        assert "T21:00:00+09:00" in answers[1]
        assert answers[2] == "Wrote time.txt, 6 bytes."
        assert history[-1]["role"] == "block_assistant"
        assert client.call("session/read", {"session_id": "last"})["model"] == MODEL


def test_a_question_outlives_its_client_and_its_daemon(tmp_path: Path):
    config = {"tools": {"level": "workspace", "policy": {"write_file": "ask"}}}
    call = ToolCall("write_file", {"path": "a.txt", "content": "hello"}, "call_1")
    with tool_house(tmp_path, **config) as house:
        house.model.answers(call)
        with house.client() as client:
            house.create(client)
            for _, params in client.events(timeout=60):
                if params.get("event", {}).get("payload", {}).get("type") == "approval_requested":
                    break
        with house.client() as other:
            (asked,) = other.call("approval/list", {})["approvals"]
        house.daemon.kill()
        house.daemon.start()
        with house.client() as client:
            assert client.call("approval/list", {})["approvals"] == [asked]
            decided = client.call("approval/decide", {"approval_id": asked["approval_id"], "decision": "allow"})
            assert decided["state"] == "allowed"
            house.model.answers(call)
            client.call("turn/start", {"session_id": "last", "prompt": "go on"})
            assert (tmp_path / "a.txt").read_text() == "hello"
            assert house.ledger(client) == [("write_file", "ran")]
            assert client.call("approval/get", {"approval_id": asked["approval_id"]})["state"] == "used"


def test_a_client_of_the_public_contract_is_told_of_its_kinds_alone(tmp_path: Path):
    config = {"tools": {"level": "workspace", "policy": {"write_file": "ask"}}}
    with tool_house(tmp_path, **config) as house, house.client() as other:
        house.model.answers(ToolCall("write_file", {"path": "a.txt", "content": "hello"}))
        shim = subprocess.Popen(
            [sys.executable, "-m", "rkat_shims.rpc", "--realm", REALM, "--state-root", house.daemon.state_root],
            env={**os.environ, "MEERKAT_RUNTIME_DIR": house.daemon.runtime_dir},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with shim:
            assert shim.stdin is not None
            assert shim.stdout is not None
            ask = {"prompt": "go", "model": MODEL, "workspace": str(tmp_path)}
            for number, (method, params) in enumerate((("initialize", {}), ("session/create", ask)), 1):
                line = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
                shim.stdin.write(json.dumps(line) + "\n")
                shim.stdin.flush()
            kinds: list[str] = []
            for line in shim.stdout:
                message = json.loads(line)
                if message.get("method") == "session/event":
                    kinds.append(message["params"]["event"]["payload"]["type"])
                if kinds[-1:] == ["turn_completed"] and "answered" not in kinds:
                    approval = wait_for_approval(other)
                    other.call("approval/decide", {"approval_id": approval, "decision": "deny"})
                    kinds.append("answered")
                if message.get("id") == 2:
                    break
            shim.stdin.close()
        assert "tool_result_received" in kinds
        assert not {"approval_requested", "approval_decided"} & set(kinds)


def wait_for_approval(client) -> str:
    """The id of the one approval that is about to be asked for."""
    stream = client.call("session/stream_open", {"session_id": "last", "cursor": 0})["stream_id"]
    for _, params in client.events(timeout=60):
        payload = params.get("event", {}).get("payload", {})
        if payload.get("type") == "approval_requested":
            client.call("session/stream_close", {"stream_id": stream})
            return str(payload["approval"]["approval_id"])
    raise AssertionError("nobody asked")
