"""The daemon as a host, and the versions of the contract that it speaks, through every door."""

import os
import shutil

import pytest
import trio
from tests.behaviours.conftest import House
from tests.behaviours.promises import except_over, holds
from tests.behaviours.test_connections import refused
from tests.behaviours.test_sessions import create
from tests.support.scripted_provider import Gate, tool_call

from meerkatd.lifecycle import serving
from meerkatd.methods import dispatch

VERSION = {"major": 0, "minor": 9, "patch": 6}


@holds("DAE-2")
async def test_capabilities_name_what_works(house: House):
    async with house.connect() as peer:
        answer = await peer.call("capabilities/get")
        assert answer["contract_version"] == VERSION
        assert {each["id"] for each in answer["capabilities"]} == {
            "sessions",
            "streaming",
            "structured_output",
            "session_compaction",
            "builtins",
            "shell",
            "mcp_live",
            "session_store",
        }
        assert {each["status"] for each in answer["capabilities"]} == {"Available"}
        features = (await peer.call("runtime/capabilities"))["features"]
        working = {name for name, there in features.items() if there}
        assert working == {
            "runtime_backed_sessions",
            "session_events",
            "session_streams",
            "event_replay",
            "blobs",
            "mcp_live",
            "approvals",
        }


@holds("DAE-2")
async def test_health_looks_at_what_is_open(house: House):
    async with house.connect(realm_id="r") as peer:
        health = await peer.call("runtime/health")
        assert health == {
            "contract_version": VERSION,
            "status": "ok",
            "checks": {"disk": "ok", "state": "ok", "config": "ok"},
        }
        assert house.realm_folders() == []
        await create(house, peer)
        assert (await peer.call("runtime/health"))["checks"]["store"] == "ok"


@holds("DAE-2")
@except_over(py_blocking="a blocking client asks one thing at a time")
async def test_health_tells_a_daemon_that_stops_and_a_disk_that_is_gone(house: House):
    async with house.connect() as peer:
        gate = Gate()
        house.provider.answers(gate)
        await peer.begin("session/create", prompt="go")
        await gate.reached.wait()
        await house.stop()
        health = await peer.call("runtime/health")
        assert (health["status"], health["checks"]["state"]) == ("degraded", "degraded")
        shutil.move(house.settings.state_root, house.settings.state_root + ".away")
        health = await peer.call("runtime/health")
        assert (health["status"], health["checks"]["disk"]) == ("unhealthy", "unhealthy")
        shutil.move(house.settings.state_root + ".away", house.settings.state_root)
        gate.open()


@holds("DAE-2")
async def test_host_info_is_this_process_and_the_connections_realm(house: House):
    async with house.connect(realm_id="r") as peer:
        info = await peer.call("runtime/host_info")
        assert info["host_id"].startswith(f"meerkatd-{os.getpid()}-")
        assert (info["host_id_scope"], info["process_name"]) == ("process", "meerkatd")
        assert info["capabilities"] == await peer.call("runtime/capabilities")
        assert info["health"] == await peer.call("runtime/health")
        assert info["realm"] == await peer.call("realm/current")
        assert info["endpoints"] == {"unix_socket": house.settings.socket_path, "live_ws": house.ways.urls}


@holds("CON-6")
async def test_the_contract_version_that_is_asked_for_is_announced_everywhere(house: House):
    async with house.connect(greet=False) as peer:
        assert (await peer.call("initialize", contract_version="0.5.2"))["contract_version"] == "0.5.2"
        for method in ("capabilities/get", "models/catalog", "runtime/health"):
            assert (await peer.call(method))["contract_version"] == {"major": 0, "minor": 5, "patch": 2}


@pytest.mark.parametrize("version", ["", "0.5", "latest", "0.5.2-beta", "1.2.3.4", "0.5.2\n", "٠.٥.٢"])
@holds("CON-6")
async def test_a_contract_version_that_is_none_is_refused(house: House, version: str):
    async with house.connect(greet=False) as peer:
        error = await refused(peer.call("initialize", contract_version=version))
        assert (error.code, error.details["field"]) == ("INVALID_PARAMS", "contract_version")


@holds("CON-6")
async def test_events_come_in_their_old_form_to_clients_of_that_time(house: House):
    """Clients of 0.5 read what they stream of a turn as a bare event, and the source of a stream's as `source_id`."""
    async with house.connect(realm_id="r", contract_version="0.5.2") as old, house.connect(realm_id="r") as new:
        old.tool_answer = {"content": "a meerkat", "is_error": False}
        await old.call("tools/register", tools=[{"name": "look", "description": "", "input_schema": {}}])
        await create(house, new)
        await old.call("session/stream_open", session_id="last")
        house.provider.answers(tool_call("look"))
        house.provider.answers("I saw it")
        result = await old.call("turn/start", session_id="last", prompt=[{"type": "text", "text": "what is there?"}])
        sent = {each["event"]["type"]: each["event"] for each in old.seen("session/event")}
        assert sent["run_started"]["prompt"] == "what is there?"
        assert sent["text_delta"]["delta"] == "I saw it"
        assert sent["tool_execution_completed"]["result"] == "a meerkat"
        assert sent["run_completed"]["source_id"] == f"session:{result['session_id']}"
        assert sent["run_completed"]["payload"]["result"] == "I saw it"
        await old.wait_for(lambda: len(old.seen("session/stream_event")) == len(old.seen("session/event")))
        assert [e["event"] for e in old.seen("session/stream_event")] == [e["event"] for e in old.seen("session/event")]
        assert all("source_id" not in each["event"] for each in new.seen("session/event"))


@holds("DAE-1")
async def test_a_request_that_hangs_does_not_keep_the_daemon_from_ending(house: House, monkeypatch: pytest.MonkeyPatch):
    """Turns have their deadline; what is not a turn had none."""
    hanging = Gate()

    async def hang(*_: object) -> None:
        await hanging.wait()

    monkeypatch.setitem(dispatch.HANDLERS, "realm/current", hang)
    monkeypatch.setattr(serving, "REPLY_SECONDS", 0.05)
    async with house.connect() as peer:
        await peer.begin("realm/current")
        await hanging.reached.wait()
        await house.stop()
        with trio.fail_after(5):
            await house.ended.wait()
