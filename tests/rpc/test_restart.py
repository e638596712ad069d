"""A daemon that restarts under `rkat-rpc`: its client notices nothing."""

import pytest
from tests.rpc.rpc_kit import Place
from tests.sdk.flavours import MODEL

from meerkat_client import BlockingClient


def restart(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Restart the daemon of the place, and wait for the next program."""
    monkeypatch.setenv("MEERKAT_RUNTIME_DIR", place.env["MEERKAT_RUNTIME_DIR"])
    with BlockingClient.connect(name="test", state_root=place.env["MEERKAT_STATE_ROOT"], start=False) as client:
        before = client.call("daemon/status")["restarts"]
        client.call("daemon/restart", {})
        while client.call("daemon/status")["restarts"] == before:
            pass


def test_requests_and_streams_go_on_over_a_restart(own_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    client = own_place.client("--realm", "team")
    client.call("initialize")
    session_id = client.call("session/create", {"prompt": "hi", "model": MODEL})["session_id"]
    stream_id = client.call("session/stream_open", {"session_id": session_id})["stream_id"]
    pid = own_place.daemon_pid
    restart(own_place, monkeypatch)
    assert client.call("turn/start", {"session_id": session_id, "prompt": "again"})["text"] == "ok"
    assert own_place.daemon_pid == pid
    events = [line["params"] for line in client.others if line.get("method") == "session/stream_event"]
    while not events or events[-1]["event"]["payload"]["type"] != "run_completed":
        events.append(client.notification("session/stream_event")["params"])
    assert {event["stream_id"] for event in events} == {stream_id}
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert not any(line.get("method") == "daemon/leaving" for line in client.others)
    client.call("session/stream_close", {"stream_id": stream_id})
