"""The door on loopback TCP: nothing passes without the right Host, Origin and token, and it is gone with its opener."""

import itertools
import logging
import os
import stat
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
import trio_websocket
from tests.lifecycle.echo_daemon import EchoDispatcher
from tests.protocol.test_websocket import answer_to, asking

from meerkat_client.wire import limits
from meerkat_client.wire.json_text import decode_json, encode_json
from meerkatd.errors import InvalidParams, InvalidRequest, Overloaded
from meerkatd.listener import loopback
from meerkatd.listener.gate import TOKEN_PROTOCOL
from meerkatd.listener.loopback import LoopbackDoor, LoopbackDoors
from meerkatd.listener.unix import UnixListener
from meerkatd.listener.websocket import JSON

PAGE = "http://localhost:5173"
HANG_SECONDS = 20


@pytest.fixture
async def doors(nursery: trio.Nursery) -> AsyncIterator[LoopbackDoors]:
    with tempfile.TemporaryDirectory(prefix="md-") as root:
        os.chmod(root, 0o700)
        opened = LoopbackDoors(root)
        await nursery.start(opened.run, UnixListener(EchoDispatcher()))
        with trio.fail_after(HANG_SECONDS):
            yield opened


def port_of(door: LoopbackDoor) -> int:
    return int(door.url.removesuffix("/").rpartition(":")[2])


def token_of(door: LoopbackDoor) -> str:
    return Path(door.token_path).read_text().strip()


def upgrade(*headers: str, protocols: str = JSON) -> bytes:
    lines = [
        "GET / HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Sec-WebSocket-Protocol: {protocols}", *headers,
    ]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def files_of(folder: str) -> set[str]:
    return set(os.listdir(folder))


async def status(door: LoopbackDoor, request: bytes, *, host: str = "127.0.0.1") -> int:
    stream = await trio.open_tcp_stream(host, port_of(door))
    async with stream:
        answer = await answer_to(stream, request)
    assert token_of(door).encode() not in answer
    return int(answer.split(b" ", 2)[1])


@asynccontextmanager
async def guest(door: LoopbackDoor, token: str, **headers: str) -> AsyncIterator[trio_websocket.WebSocketConnection]:
    """An independent implementation that shows the token as a page would."""
    async with trio_websocket.open_websocket_url(
        door.url, subprotocols=[JSON, TOKEN_PROTOCOL + token], extra_headers=list(headers.items())
    ) as connection:
        yield connection


async def greeted(connection: trio_websocket.WebSocketConnection) -> None:
    await connection.send_message(encode_json(asking(0, "initialize")))
    assert decode_json(await connection.get_message())["id"] == 0


# {P} is the door's port. The first three are its names.
HOSTS = (
    "127.0.0.1:{P}", "localhost:{P}", "[::1]:{P}",
    "127.0.0.1", "localhost", "127.0.0.1:1", "localhost.:{P}", "evil.example:{P}", "127.0.0.1.evil.example:{P}",
    "0.0.0.0:{P}", "127.0.0.1:{P}@evil.example", "",
)  # fmt: skip
ORIGINS = (
    None, PAGE,
    "null", "http://localhost:5174", "https://localhost:5173", "http://evil.example",
    "http://localhost:5173.evil.example", "",
)  # fmt: skip
TOKENS = ("right", "wrong", "missing")


async def test_nothing_passes_without_the_right_host_and_origin_and_token(doors: LoopbackDoors) -> None:
    """12 Hosts by 8 Origins by 3 tokens, by both ways to show one."""
    door = doors.open("127.0.0.1", 0, origins=[PAGE])
    shown = {"right": token_of(door), "wrong": "A" * len(token_of(door))}
    passed = set()
    for host, origin, token in itertools.product(HOSTS, ORIGINS, TOKENS):
        headers = [f"Host: {host.format(P=port_of(door))}"]
        if origin is not None:
            headers.append(f"Origin: {origin}")
        ways = [upgrade(*headers)]
        if token in shown:
            ways = [
                upgrade(*headers, f"Authorization: Bearer {shown[token]}"),
                upgrade(*headers, protocols=f"{TOKEN_PROTOCOL}{shown[token]}, {JSON}"),
            ]
        answers = {await status(door, way) for way in ways}
        if answers == {101}:
            passed.add((host, origin, token))
        else:
            assert answers <= {400, 401, 403}, (host, origin, token, answers)
    assert passed == {(host, origin, "right") for host in HOSTS[:3] for origin in ORIGINS[:2]}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["Host: localhost:{P}", "Host: localhost:{P}"], 400),
        ([], 400),
        (["Host: localhost:{P}", "Sec-Fetch-Site: cross-site", "Origin: " + PAGE], 403),
        (["Host: localhost:{P}", "Sec-Fetch-Site: same-site", "Origin: " + PAGE], 101),
        (["Host: localhost:{P}", "Origin: " + PAGE, "Origin: " + PAGE], 403),
        (["Host: localhost:{P}", "Authorization: Basic {T}"], 401),
        (["Host: localhost:{P}", "Authorization: Bearer wrong"], 401),
        (["Host: localhost:{P}", "Cookie: token={T}"], 101),
    ],
)
async def test_what_else_a_browser_says_is_looked_at(doors: LoopbackDoors, headers: list[str], expected: int) -> None:
    """Each of these shows the right token as a subprotocol; a second one that is wrong is not forgiven."""
    door = doors.open("127.0.0.1", 0, origins=[PAGE])
    said = [each.replace("{P}", str(port_of(door))).replace("{T}", token_of(door)) for each in headers]
    assert await status(door, upgrade(*said, protocols=f"{JSON}, {TOKEN_PROTOCOL}{token_of(door)}")) == expected


async def test_a_token_is_of_no_use_in_the_url(doors: LoopbackDoors) -> None:
    door = doors.open("127.0.0.1", 0, origins=[])
    target = f"GET /?token={token_of(door)} "
    request = upgrade(f"Host: localhost:{port_of(door)}").replace(b"GET / ", target.encode())
    assert await status(door, request) == 401


async def test_who_shows_the_token_is_let_in_and_the_token_is_not_sent_back(doors: LoopbackDoors) -> None:
    door = doors.open("127.0.0.1", 0, origins=[PAGE])
    async with guest(door, token_of(door), Origin=PAGE) as connection:
        assert connection.subprotocol == JSON
        await greeted(connection)
        assert (doors.urls, doors.connections) == ([door.url], 1)


async def test_the_token_is_random_and_only_in_a_file_of_mine(
    doors: LoopbackDoors, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        one, two = (doors.open("127.0.0.1", 0, origins=[]) for _ in range(2))
    tokens = token_of(one), token_of(two)
    assert tokens[0] != tokens[1]
    assert all(len(token) == 43 for token in tokens), "256 bits in base64"
    found = os.stat(one.token_path)
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o600, os.geteuid())
    assert not any(token in text for token in tokens for text in (caplog.text, repr(one), one.url, one.token_path))


async def test_a_door_that_is_closed_puts_everybody_out_and_takes_its_token_away(doors: LoopbackDoors) -> None:
    door = doors.open("127.0.0.1", 0, origins=[])
    async with guest(door, token_of(door)) as connection:
        await greeted(connection)
        door.close()
        door.close()
        with pytest.raises(trio_websocket.ConnectionClosed):
            await connection.get_message()
    while doors.urls:
        await trio.lowlevel.checkpoint()
    folder, name = os.path.split(door.token_path)
    assert name not in files_of(folder)
    with pytest.raises(OSError, match="connect"):
        await trio.open_tcp_stream("127.0.0.1", port_of(door))


async def test_a_door_that_lets_nobody_in_any_more_keeps_those_who_are_inside(doors: LoopbackDoors) -> None:
    door = doors.open("127.0.0.1", 0, origins=[])
    async with guest(door, token_of(door)) as connection:
        await greeted(connection)
        doors.stop_accepting()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream("127.0.0.1", port_of(door))
        await connection.send_message(encode_json(asking(1, "echo", {"text": "still here"})))
        assert decode_json(await connection.get_message())["result"] == {"text": "still here"}


async def test_an_address_that_is_taken_is_refused_by_its_name(doors: LoopbackDoors) -> None:
    door = doors.open("127.0.0.1", 0, origins=[])
    with pytest.raises(InvalidParams) as caught:
        doors.open("127.0.0.1", port_of(door), origins=[])
    assert caught.value.details == {"field": "address"}
    assert doors.urls == [door.url]


async def test_the_other_loopback_has_doors_too(doors: LoopbackDoors) -> None:
    door = doors.open("::1", 0, origins=[])
    assert door.url.startswith("ws://[::1]:")
    request = upgrade(f"Host: [::1]:{port_of(door)}", f"Authorization: Bearer {token_of(door)}")
    assert await status(door, request, host="::1") == 101


async def test_there_are_so_many_doors_and_no_more(doors: LoopbackDoors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "MAX_DOORS", 2)
    for _ in range(2):
        doors.open("127.0.0.1", 0, origins=[])
    with pytest.raises(Overloaded):
        doors.open("127.0.0.1", 0, origins=[])


async def test_tokens_of_a_daemon_that_was_killed_are_taken_away(nursery: trio.Nursery) -> None:
    with tempfile.TemporaryDirectory(prefix="md-") as root:
        for name in ("live-ws-4711.token", "md.sock"):
            os.close(os.open(f"{root}/{name}", os.O_CREAT))
        doors = LoopbackDoors(root)
        with pytest.raises(InvalidRequest):
            doors.open("127.0.0.1", 0, origins=[])
        await nursery.start(doors.run, UnixListener(EchoDispatcher()))
        assert files_of(root) == {"md.sock"}


async def test_a_handshake_that_never_ends_is_cut_off(doors: LoopbackDoors, monkeypatch: pytest.MonkeyPatch) -> None:
    from meerkatd.listener import unix

    monkeypatch.setattr(unix, "HANDSHAKE_SECONDS", 0.05)
    door = doors.open("127.0.0.1", 0, origins=[])
    for start in (b"", b"GET / HTTP/1.1\r\nHost: "):
        stream = await trio.open_tcp_stream("127.0.0.1", port_of(door))
        if start:
            await stream.send_all(start)
        assert await stream.receive_some() == b""


async def test_those_without_a_token_do_not_use_up_the_daemon(doors: LoopbackDoors) -> None:
    """Above its own bound a door closes at once, and the Unix socket has another one."""
    door = doors.open("127.0.0.1", 0, origins=[])
    streams = [await trio.open_tcp_stream("127.0.0.1", port_of(door)) for _ in range(limits.MAX_WEB_CONNECTIONS + 1)]
    assert await streams[-1].receive_some() == b""
    assert doors.connections == limits.MAX_WEB_CONNECTIONS < limits.MAX_CONNECTIONS
    for stream in streams:
        await stream.aclose()
