"""Fixtures of the client's tests: a scripted daemon at the other end of a socket pair, in a thread of its own."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.client.scripted_daemon import ScriptedDaemon

from meerkat_client._sync import BlockingClient

Script = Callable[[ScriptedDaemon], object]


@pytest.fixture
def against() -> Iterator[Callable[[Script], BlockingClient]]:
    """`against(script)` is a client whose daemon does what the script says."""
    threads: list[threading.Thread] = []
    clients: list[BlockingClient] = []

    def start(script: Script) -> BlockingClient:
        ours, theirs = socket.socketpair()

        def run() -> None:
            with theirs:
                script(ScriptedDaemon(theirs))

        thread = threading.Thread(target=run)
        thread.start()
        threads.append(thread)
        clients.append(BlockingClient(ours))
        return clients[-1]

    yield start
    for client in clients:
        client.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
