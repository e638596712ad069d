"""A daemon of another version, played by a script."""

import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.client.scripted_daemon import ScriptedDaemon
from tests.sdk.flavours import FLAVOURS, client_of, raised, run

from meerkat_client import DaemonError, RequestError, VersionMismatchError
from meerkat_client.wire.paths import places

INFO = {"server_info": {"name": "meerkatd", "version": "9.9.9"}, "realm_id": "r"}


@contextmanager
def scripted(script: Callable[[ScriptedDaemon], object], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A socket at which each connection is served by a script; options of its clients."""
    with tempfile.TemporaryDirectory(prefix="md-") as folder, socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.setenv("MEERKAT_RUNTIME_DIR", f"{folder}/run")
        here = places(f"{folder}/state")
        os.makedirs(here.runtime_dir, 0o700)
        listener.bind(here.socket_path)
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:
                    script(ScriptedDaemon(sock))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield {"state_root": f"{folder}/state", "start": False, "realm_id": "r", "credentials": {}}
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def refuse(daemon: ScriptedDaemon, number: int, code: str) -> None:
    request = daemon.receive()
    data = {"code": code, "message": "no", "details": {}}
    daemon.send({"id": request["id"], "error": {"code": number, "message": "no", "data": data}})


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_daemon_of_another_protocol_is_told_with_what_to_do(flavour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(lambda daemon: refuse(daemon, -32055, "VERSION_MISMATCH"), monkeypatch) as options:

        async def body() -> None:
            error = await raised(VersionMismatchError, client_of(flavour, options).connect())
            assert "rkat daemon restart" in error.hint

        run(flavour, body)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_method_that_an_older_daemon_lacks_is_told_with_both_versions(
    flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(daemon: ScriptedDaemon) -> None:
        daemon.answer(INFO)
        daemon.answer({"capabilities": []})
        refuse(daemon, -32601, "METHOD_NOT_FOUND")
        daemon.receive()

    with scripted(script, monkeypatch) as options:

        async def body() -> None:
            async with client_of(flavour, options) as client:
                error = await raised(RequestError, client.session("s").fork_at(1))
                assert "9.9.9" in error.hint
                assert "rkat daemon restart" in error.hint

        run(flavour, body)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_daemon_that_breaks_off_again_and_again_is_given_up(flavour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connections = 0

    def script(daemon: ScriptedDaemon) -> None:
        nonlocal connections
        connections += 1
        daemon.answer(INFO)
        if connections == 1:
            daemon.answer({"capabilities": []})
        daemon.receive()

    with scripted(script, monkeypatch) as options:

        async def body() -> None:
            async with client_of(flavour, options) as client:
                error = await raised(DaemonError, client.list_sessions())
                assert error.code == "DAEMON_UNAVAILABLE"

        run(flavour, body)
        assert connections == 5


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_without_a_daemon_and_without_leave_to_start_one_it_says_so(
    flavour: str, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setenv("MEERKAT_RUNTIME_DIR", str(tmp_path / "run"))
    options = {"state_root": str(tmp_path / "state"), "start": False}

    async def body() -> None:
        error = await raised(DaemonError, client_of(flavour, options).connect())
        assert error.code == "DAEMON_UNAVAILABLE"
        assert error.hint

    run(flavour, body)
