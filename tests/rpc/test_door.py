"""`rkat-rpc --live-ws`: where the door is told, who may use it, and how long it is there."""

import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.rpc.rpc_kit import PATIENCE_SECONDS, Client, Place

PAGE = "http://localhost:5173"


def knock(door: dict[str, Any], *headers: str, protocols: str = "meerkat.v1.json") -> int:
    """The status of an upgrade that is asked for at the door."""
    port = int(door["url"].rstrip("/").rpartition(":")[2])
    lines = [
        "GET / HTTP/1.1", f"Host: localhost:{port}", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Sec-WebSocket-Protocol: {protocols}", *headers,
    ]  # fmt: skip
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as sock:
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return int(sock.recv(4096).split(b" ", 2)[1])


def told(client: Client) -> str:
    """The line that says where the door is."""
    assert client.process.stderr is not None
    while b"WebSocket at" not in (line := client.process.stderr.readline()):
        assert line, "it never said where the door is"
    return line.decode()


def test_the_door_is_told_on_stderr_and_in_the_greeting_and_ends_with_it(place: Place) -> None:
    client = place.client("--live-ws", "127.0.0.1:0", "--live-ws-origin", PAGE)
    line = told(client)
    door = client.call("initialize")["live_ws"]
    assert door["url"] in line
    assert door["token_path"] in line
    assert door["origins"] == [PAGE]
    token = Path(door["token_path"]).read_text().strip()
    assert token not in line
    assert stat.S_IMODE(os.stat(door["token_path"]).st_mode) == 0o600
    assert client.call("runtime/host_info")["endpoints"]["live_ws"] == [door["url"]]
    shown = f"meerkat.token.{token}, meerkat.v1.json"
    assert knock(door, f"Authorization: Bearer {token}") == 101
    assert knock(door, f"Origin: {PAGE}", protocols=shown) == 101
    assert knock(door, "Origin: http://evil.example", protocols=shown) == 403
    assert knock(door) == 401
    client.end()
    other = place.client()
    while other.call("runtime/host_info")["endpoints"]["live_ws"]:
        continue
    assert not os.path.exists(door["token_path"])
    with pytest.raises(ConnectionRefusedError):
        knock(door)


def test_a_door_is_opened_before_anything_is_asked(place: Place) -> None:
    """A program that serves a page may have nothing to ask on stdin."""
    assert "ws://127.0.0.1:" in told(place.client("--live-ws", "localhost:0"))


def test_a_door_is_opened_again_by_the_next_daemon(own_place: Place) -> None:
    client = own_place.client("--live-ws", "127.0.0.1:0")
    first = told(client)
    own_place.kill_daemon()
    client.reply(client.begin("session/list"))
    client.call("session/list")
    second = told(client)
    assert second.split()[-1] != first.split()[-1] or second == first
    door = client.call("initialize")["live_ws"]
    assert door["url"] in second
    assert knock(door, f"Authorization: Bearer {Path(door['token_path']).read_text().strip()}") == 101


@pytest.mark.parametrize("address", ["0.0.0.0:0", "127.0.0.1", "example.org:80", "127.0.0.1:70000", "[::]:0"])
def test_an_address_that_is_not_loopback_is_refused_to_everybody_who_asks(place: Place, address: str) -> None:
    client = place.client("--live-ws", address)
    assert client.error("initialize") == "INVALID_PARAMS"
    client.end()
    assert "address: must be 127.0.0.1:PORT" in client.words()
