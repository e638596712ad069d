"""`rkat-rest` as a process: its start and end, its token, its daemon, and two hundred readers."""

import re
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import trio
from tests.rest.rest_process import RestProcess, rest_process
from tests.rpc.rpc_kit import Place
from tests.support.gated_model import Gate as ModelGate
from tests.support.gated_model import GatedModel

MODEL = {"model": "openai/scripted"}


@pytest.fixture
def model() -> Iterator[GatedModel]:
    with GatedModel() as server:
        yield server


@pytest.fixture
def place(model: GatedModel) -> Iterator[Place]:
    made = Place()
    made.use(model.url)
    yield made
    made.close()


def test_it_says_where_it_is_and_where_the_token_is_and_takes_the_token_away_again(place: Place) -> None:
    with rest_process(place, "--realm", "r", "--context-root", "/") as rest:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", rest.url)
        assert "rkat-rest: realm r\n" in rest.said
        assert "--context-root has no effect" in rest.said
        token = Path(next(line for line in rest.said.splitlines() if "token in" in line).rpartition(" ")[2])
        for path in (token, Path(rest.header_path)):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        secret = token.read_text().strip()
        assert len(secret) >= 43
        command = psutil.Process(rest.pid)
        assert secret not in " ".join(command.cmdline()) + str(command.environ())
        assert rest.ask("GET", "/sessions") == (200, {"sessions": []})
        done = subprocess.run(
            ["curl", "-s", "-H", f"@{rest.header_path}", f"{rest.url}/realm"], capture_output=True, check=True
        )
        assert b'"realm_id":"r"' in done.stdout
        status, said = rest.end()
        assert (status, said) == (0, "")
        assert secret not in rest.said
        assert list(token.parent.iterdir()) == []


def test_several_have_realms_and_tokens_of_their_own(place: Place) -> None:
    with rest_process(place) as one, rest_process(place) as two, rest_process(place, "--realm", "r") as three:
        realms = {rest.ask("GET", "/realm")[1]["realm_id"] for rest in (one, two, three)}
        assert len(realms) == 3
        assert len({rest.authorization for rest in (one, two, three)}) == 3
        status, refused = _with_token_of(one, two)
        assert (status, refused) == (401, "UNAUTHORIZED")
        assert one.ask("POST", "/realms", {"realm_id": "r"})[0] == 200
        assert three.ask("GET", "/realm")[1]["exists"] is True


def _with_token_of(one: RestProcess, other: RestProcess) -> tuple[int, str]:
    class Stranger(RestProcess):
        def __init__(self) -> None:
            self.url, self.said = one.url, other.said

    status, body = Stranger().ask("GET", "/sessions")
    return status, body["code"]


def test_a_port_that_is_taken_is_told_before_a_daemon_is_started(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        started = RestProcess(place, "--port", str(taken.getsockname()[1]))
        status, said = started.wait()
    assert status == 2
    assert "--port 0 for any free one" in said
    assert place.daemon_pid is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_though_a_turn_runs_and_a_reader_stalls(
    place: Place, model: GatedModel, number: signal.Signals
) -> None:
    gate = ModelGate()
    model.answers("x" * 200_000, *["y" * 200_000] * 50, gate, "end")
    with rest_process(place, "--realm", "r") as rest:
        answers: list[tuple[int, dict[str, str]]] = []
        asking = threading.Thread(
            target=lambda: answers.append(rest.ask("POST", "/sessions", {"prompt": "go", **MODEL}))
        )
        asking.start()
        gate.wait_until_reached()
        with socket.create_connection(("127.0.0.1", rest.port)) as stalled:
            head = f"GET /sessions/last/events HTTP/1.1\r\nHost: 127.0.0.1:{rest.port}\r\n"
            stalled.sendall(f"{head}Authorization: {rest.authorization}\r\n\r\n".encode())
            assert stalled.recv(15).startswith(b"HTTP/1.1 200")
            status, said = rest.end(number)
        assert (status, said) == (0, "")
        asking.join()
        assert (answers[0][0], answers[0][1]["code"]) == (503, "SHUTTING_DOWN")
    with rest_process(place, "--realm", "r") as rest:
        assert rest.ask("GET", "/sessions/last")[1]["is_active"] is True
        gate.open()


def test_a_daemon_that_was_killed_is_started_again_and_streams_go_on(place: Place, model: GatedModel) -> None:
    with rest_process(place, "--realm", "r") as rest:
        session_id = rest.ask("POST", "/sessions", {"prompt": "one", **MODEL})[1]["session_id"]
        with (
            _open_stream(rest, f"/sessions/{session_id}/events") as events,
            _open_stream(rest, "/config/watch") as watch,
        ):
            _read_until(events, b"event: session_loaded")
            _read_until(watch, b"event: config_loaded")
            first = place.daemon_pid
            place.kill_daemon()
            assert rest.ask("POST", f"/sessions/{session_id}/messages", {"prompt": "two"})[1]["text"] == "ok"
            assert place.daemon_pid != first
            assert rest.ask("PATCH", "/config", {"agent": {"temperature": 0.5}})[0] == 200
            _read_until(events, b"event: run_completed")
            _read_until(watch, b"event: config_changed")
        gate = ModelGate()
        model.answers("lost", gate)
        answers: list[tuple[int, dict[str, str]]] = []
        target = f"/sessions/{session_id}/messages"
        asking = threading.Thread(target=lambda: answers.append(rest.ask("POST", target, {"prompt": "three"})))
        asking.start()
        gate.wait_until_reached()
        place.kill_daemon()
        asking.join()
        assert (answers[0][0], answers[0][1]["code"]) == (500, "TURN_LOST")
        gate.open()


def _open_stream(rest: RestProcess, target: str) -> socket.socket:
    stream = socket.create_connection(("127.0.0.1", rest.port), timeout=30)
    head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{rest.port}\r\nAuthorization: {rest.authorization}\r\n\r\n"
    stream.sendall(head.encode())
    return stream


def _read_until(stream: socket.socket, text: bytes) -> bytes:
    found = b""
    while text not in found:
        data = stream.recv(1 << 16)
        assert data, found
        found += data
    return found


def test_two_hundred_readers_of_one_turn_see_every_event_once_and_in_order(place: Place, model: GatedModel) -> None:
    """The daemon has one stream of the session, however many readers there are, and their number costs no memory but
    that of their connections."""
    readers, deltas = 200, 400
    gate = ModelGate()
    model.answers(gate, *(f"{number} " for number in range(deltas)))
    with rest_process(place, "--realm", "r") as rest:
        asking = threading.Thread(target=rest.ask, args=("POST", "/sessions", {"prompt": "go", **MODEL}))
        asking.start()
        gate.wait_until_reached()
        before = [_rss(pid) for pid in (rest.pid, place.daemon_pid)]
        seen, streams = trio.run(_read_all, rest, readers, gate)
        after = [_rss(pid) for pid in (rest.pid, place.daemon_pid)]
        asking.join()
    assert streams == 1
    assert len(seen) == readers
    assert all(mine == seen[0] for mine in seen)
    assert seen[0] == list(range(seen[0][0], seen[0][0] + deltas + 5))
    # What a connection costs in Hypercorn and h11 was measured at 180 KiB; events are shared.
    assert after[0] - before[0] < readers * 300 * 1024
    assert after[1] - before[1] < 8 << 20


async def _read_all(rest: RestProcess, readers: int, gate: ModelGate) -> tuple[list[list[int]], int]:
    """The numbers of the events that each reader saw, and how many streams the daemon had meanwhile."""
    seen: list[list[int]] = []
    opened = trio.Semaphore(0)
    request = f"Host: 127.0.0.1:{rest.port}\r\nAuthorization: {rest.authorization}\r\n\r\n"

    async def read() -> None:
        async with await trio.open_tcp_stream("127.0.0.1", rest.port) as stream:
            await stream.send_all(f"GET /sessions/last/events?until=turn_end HTTP/1.1\r\n{request}".encode())
            text = b""
            while b"event: turn_started" not in text:
                text += await stream.receive_some()
            opened.release()
            while b"event: done" not in text:
                text += await stream.receive_some()
        # A chunk's length stands between events, never inside of one.
        seen.append([int(number) for number in re.findall(rb"\nid: (\d+)\n", text)])

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(readers):
                nursery.start_soon(read)
            for _ in range(readers):
                await opened.acquire()
            status = (await trio.to_thread.run_sync(rest.ask, "GET", "/daemon/status"))[1]
            gate.open()
    return seen, status["event_streams"]


def _rss(pid: int | None) -> int:
    return int(psutil.Process(pid).memory_info().rss)
