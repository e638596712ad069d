"""Tools in a real daemon: processes that are shared and never left behind, and a ledger that tells what had run."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.support.gated_model import Gate, ToolCall
from tests.support.processes import alive, read_fifo, wait_gone
from tests.support.tool_house import scripted, tool_house

from meerkat_client import BlockingClient
from meerkat_client.errors import RkatError

# The promise: no process of a tool is left five seconds after its daemon is gone.
ORPHAN_SECONDS = 5.0


def pids_in(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split()]


def wait_until_started(client: BlockingClient, call_id: str) -> None:
    """Read events until a tool call has begun."""
    for _, params in client.events(timeout=60):
        payload = params.get("event", {}).get("payload", {})
        if payload.get("type") == "tool_execution_started" and payload["id"] == call_id:
            return


def test_five_sessions_that_use_one_server_at_once_share_its_process(tmp_path: Path):
    born = tmp_path / "born"
    with tool_house(tmp_path, mcp={"servers": {"scripted": scripted(f"born={born}")}}) as house:
        gates = [Gate() for _ in range(5)]
        for gate in gates:
            house.model.answers(gate, ToolCall("mcp__scripted__echo", {"text": "hello"}))
        clients = [house.client() for _ in gates]
        turns = [house.create(client) for client in clients]
        for gate in gates:
            gate.wait_until_reached()
        for gate in gates:
            gate.open()
        results = [client.wait(turn, timeout=60) for client, turn in zip(clients, turns, strict=True)]
        assert [result["tool_calls"] for result in results] == [1] * 5
        ledgers = [house.ledger(clients[0], result["session_id"]) for result in results]
        assert ledgers == [[("mcp__scripted__echo", "ran")]] * 5
        assert len(pids_in(born)) == 1
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    "stubborn", [(), pytest.param(("stubborn",), marks=pytest.mark.long)], ids=["", "ignores its stdin"]
)
def test_a_killed_daemon_leaves_no_process_of_its_tools(tmp_path: Path, stubborn):
    """Server, its child in a session of its own, a shell command and what that has in the background."""
    born, told = tmp_path / "born", tmp_path / "told"
    os.mkfifo(told)
    config = {"mcp": {"servers": {"scripted": scripted("child", *stubborn, f"born={born}")}}}
    with tool_house(tmp_path, **config) as house:
        house.model.answers(ToolCall("shell", {"command": "setsid sleep 1000 & echo $$ $! >told; sleep 1000"}))
        client = house.client()
        house.create(client, tools="full")
        pids = [int(pid) for pid in read_fifo(str(told)).split()] + pids_in(born)
        assert len(pids) == 4
        assert all(alive(pid) for pid in pids)
        house.daemon.kill()
        for pid in pids:
            wait_gone(pid, within=ORPHAN_SECONDS)
        client.close()


def test_a_daemon_that_stops_in_order_leaves_no_process_of_its_tools(tmp_path: Path):
    born = tmp_path / "born"
    with tool_house(tmp_path, mcp={"servers": {"scripted": scripted("child", f"born={born}")}}) as house:
        with house.client() as client:
            house.created(client)
            client.call("daemon/stop", {})
        for pid in pids_in(born):
            wait_gone(pid)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("mcp__scripted__hang", {}), pytest.param("shell", {"command": "sleep 1000"}, marks=pytest.mark.long)],
)
def test_after_a_kill_the_ledger_tells_what_ran_what_may_have_run_and_what_never_ran(tmp_path: Path, name, arguments):
    (tmp_path / "notes.txt").write_text("hello\n")
    config = {"mcp": {"servers": {"scripted": scripted()}}, "tools": {"max_concurrent": 1, "level": "full"}}
    with tool_house(tmp_path, **config) as house:
        house.model.answers(
            ToolCall("read_file", {"path": "notes.txt"}, "call_1"),
            ToolCall("mcp__scripted__echo", {"text": "x"}, "call_2"),
        )
        house.model.answers(
            ToolCall(name, arguments, "call_3"), ToolCall("write_file", {"path": "a", "content": "b"}, "call_4")
        )
        client = house.client()
        house.create(client)
        wait_until_started(client, "call_3")
        house.daemon.kill()
        client.close()
        house.daemon.start()
        with house.client() as again:
            assert house.ledger(again) == [
                ("read_file", "ran"),
                ("mcp__scripted__echo", "ran"),
                (name, "may_have_run"),
                ("write_file", "never_ran"),
            ]
            last = again.call("session/history", {"session_id": "last"})["messages"][-1]
            assert f"may have run: {name} (call_3)" in last["body"]
            assert "never ran: write_file (call_4)" in last["body"]
            assert not (tmp_path / "a").exists()
            house.model.answers("still here")
            assert again.call("turn/start", {"session_id": "last", "prompt": "?"})["text"] == "still here"


def test_a_server_that_cannot_start_is_an_event_and_the_turn_goes_on(tmp_path: Path):
    with tool_house(tmp_path, mcp={"servers": {"scripted": scripted("crash", env={"WHO": "hidden-key"})}}) as house:
        with house.client() as client:
            pending, events = house.create(client), []
            assert client.wait(pending, lambda method, params: events.append(params), timeout=60)["text"] == "ok"
            (change,) = [
                each["event"]["payload"]["payload"]
                for each in events
                if each["event"]["payload"]["type"] == "tool_config_changed"
            ]
            assert change["status"].startswith("failed: ")
            (server,) = client.call("mcp/list", {})["servers"]
            assert (server["name"], server["origin"]) == ("scripted", "config")
        log = next(Path(house.daemon.state_root).rglob("*.log")).read_text()
        assert "scripted" in log
        assert "hidden-key" not in log


def test_a_session_gets_loses_and_reloads_servers_of_its_own(tmp_path: Path):
    born = tmp_path / "born"
    with tool_house(tmp_path) as house, house.client() as client:
        session_id = house.created(client)["session_id"]
        config = {"name": "mine", **scripted(f"born={born}", env={"WHO": "hidden-key"})}
        added = client.call("mcp/add", {"session_id": session_id, "server_config": config})
        assert added == {
            "session_id": session_id,
            "operation": "add",
            "server_name": "mine",
            "status": "staged",
            "persisted": False,
        }
        house.model.answers(ToolCall("mcp__mine__echo", {"text": "x"}))
        client.call("turn/start", {"session_id": session_id, "prompt": "use it"})
        assert house.ledger(client) == [("mcp__mine__echo", "ran")]
        (server,) = client.call("mcp/list", {"session_id": session_id})["servers"]
        assert (server["name"], server["origin"], server["state"]) == ("mine", "session", "ready")
        assert "hidden-key" not in str(client.call("session/read", {"session_id": session_id}))
        client.call("mcp/reload", {"session_id": session_id, "server_name": "mine"})
        client.call("turn/start", {"session_id": session_id, "prompt": "again"})
        assert len(pids_in(born)) == 2
        client.call("mcp/remove", {"session_id": session_id, "server_name": "mine"})
        assert client.call("mcp/list", {"session_id": session_id}) == {"servers": []}
        client.call("turn/start", {"session_id": session_id, "prompt": "and now"})
        assert not any(tool["function"]["name"].startswith("mcp__") for tool in house.model.requests[-1]["tools"])


def test_a_server_that_is_persisted_is_the_realms_and_its_secrets_are_not_shown(tmp_path: Path):
    with tool_house(tmp_path) as house, house.client() as client:
        session_id = house.created(client)["session_id"]
        server = scripted(env={"WHO": "hidden-key"})
        call = {"session_id": session_id, "server_name": "ours", "server_config": server, "persisted": True}
        assert client.call("mcp/add", call)["persisted"] is True
        config = client.call("config/get", {})["config"]
        assert config["mcp"]["servers"]["ours"]["env"] == {"WHO": {"secret": True, "set": True}}
        house.model.answers(ToolCall("mcp__ours__whoami", {}))
        other = house.created(client)["session_id"]
        history = client.call("session/history", {"session_id": other})["messages"]
        assert history[2]["results"][0]["content"].split()[1] == "hidden-key"
        # A session can do without what its realm has.
        client.call("mcp/remove", {"session_id": other, "server_name": "ours"})
        assert client.call("mcp/list", {"session_id": other}) == {"servers": []}
        assert len(client.call("mcp/list", {})["servers"]) == 1
        client.call("mcp/remove", {"session_id": session_id, "server_name": "ours", "persisted": True})
        assert client.call("mcp/list", {}) == {"servers": []}


NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"command": "a", "url": "http://127.0.0.1"}, "server_config"),
    ({}, "server_config"),
    ({"command": "a", "headers": {"A": "b"}}, "server_config"),
    ({"url": "http://127.0.0.1", "args": ["x"]}, "server_config"),
    ({"command": "a", "cwd": "relative"}, "server_config.cwd"),
]


def test_a_server_that_makes_no_sense_is_refused_whole(tmp_path: Path):
    with tool_house(tmp_path) as house, house.client() as client:
        session_id = house.created(client)["session_id"]
        for config, field in NONSENSE:
            with pytest.raises(RkatError) as refused:
                client.call("mcp/add", {"session_id": session_id, "server_name": "x", "server_config": config})
            assert refused.value.code == "INVALID_PARAMS"
            assert refused.value.details["field"] == field
        assert client.call("mcp/list", {"session_id": session_id}) == {"servers": []}


def test_turns_that_use_a_server_at_once_do_not_wait_for_each_other(tmp_path: Path):
    with tool_house(tmp_path, mcp={"servers": {"scripted": scripted()}}) as house:
        house.model.answers(ToolCall("mcp__scripted__hang", {}))
        first = house.client()
        house.create(first)
        wait_until_started(first, "call_1")
        house.model.answers(ToolCall("mcp__scripted__echo", {"text": "x"}))
        done = threading.Event()
        with house.client() as second:
            house.created(second)
            done.set()
            second.call("turn/interrupt", {"session_id": "~1"})
        assert done.is_set()
        first.close()
