"""Who gets in."""

import os
import socket

import pytest
import trio
from tests.lifecycle.echo_daemon import EchoDispatcher

from meerkat_client.wire.framing import decode, encode_frame
from meerkat_client.wire.peer import Credentials
from meerkatd.listener.unix import UnixListener

INITIALIZE = encode_frame({"jsonrpc": "2.0", "id": 0, "method": "initialize"}, 1000)


async def exchange(listener: UnixListener, nursery: trio.Nursery, data: bytes = INITIALIZE) -> bytes:
    """What a new connection gets for `data`, up to its first pause."""
    ours, theirs = socket.socketpair()
    listener._admit(theirs, nursery)
    ours.setblocking(False)
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
    with trio.fail_after(5):
        try:
            await stream.send_all(data)
            return await stream.receive_some()
        except trio.BrokenResourceError:
            return b""


async def test_the_first_bytes_choose_the_door(nursery: trio.Nursery) -> None:
    listener = UnixListener(EchoDispatcher())
    assert decode((await exchange(listener, nursery))[4:])["id"] == 0
    assert (await exchange(listener, nursery, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 400")


async def test_another_user_is_closed_without_a_word(nursery: trio.Nursery, caplog: pytest.LogCaptureFixture) -> None:
    listener = UnixListener(EchoDispatcher(), who_is=lambda _: Credentials(4711, os.geteuid() + 1))
    assert await exchange(listener, nursery) == b""
    assert listener.connections == 0
    assert "refused another user" in caplog.text


async def test_connections_beyond_the_limit_are_closed_at_once(nursery: trio.Nursery) -> None:
    listener = UnixListener(EchoDispatcher(), max_connections=2)
    pairs = [socket.socketpair() for _ in range(2)]
    for _, theirs in pairs:
        listener._admit(theirs, nursery)
    assert await exchange(listener, nursery) == b""
    for ours, _ in pairs:
        ours.close()
    with trio.fail_after(5):
        while listener.connections:
            await trio.lowlevel.checkpoint()
    assert decode((await exchange(listener, nursery))[4:])["id"] == 0


async def test_stopping_to_accept_leaves_connections_alone(nursery: trio.Nursery) -> None:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    listening.setblocking(False)
    listener = UnixListener(EchoDispatcher(), who_is=lambda _: Credentials(None, os.geteuid()))
    async with trio.open_nursery() as accepting:
        accepting.start_soon(listener.accept, listening, nursery)
        stream = await trio.open_tcp_stream(*listening.getsockname())
        await stream.send_all(INITIALIZE)
        assert await stream.receive_some()
        accepting.cancel_scope.cancel()
    listening.close()
    await stream.send_all(encode_frame({"jsonrpc": "2.0", "id": 1, "method": "echo"}, 1000))
    assert decode((await stream.receive_some())[4:])["id"] == 1
    assert listener.connections == 1
