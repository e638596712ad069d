"""What others feel of a client that reads slowly, of one that stops reading, and of clients killed in mid-turn.

Sixteen clients ask 1,000 times a second over all of them; latency is counted from when each request was due. Beside
them a turn says 1 KiB every 2 ms to one reader. Each way to read has a daemon of its own, so that memory can be
compared: the turn itself keeps all that it says, so what counts is what a bad reader costs beyond a good one. That the
turns go on is looked at, and one that does not fails the bench.
"""

import contextlib
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import psutil
from tests.bench.harness import ROOT, Row, Scale, best_of, environment, folder, instant_daemon, over_rounds
from tests.bench.instant_daemon import FLOOD, STREAM
from tests.bench.load import Line, daemon_lines, frame, hammer

CLIENTS = 16
PACE = 1000.0
GOAL_MS = 50.0
# Beyond a good reader: the outbox of a connection, the kernel's buffers, and the allocator's slack.
GOAL_MIB = 8.0
KILLED = 4
_MIB = 1024 * 1024
_SLOW_BYTES, _SLOW_SECONDS = 4096, 0.05
# A client as a program has it, that is killed while its turn runs.
_CLIENT = (
    "import sys; from tests.bench.load import daemon_lines, frame\n"
    "with daemon_lines(sys.argv[1], 'bench', 1) as (line,):\n"
    "    line.send(frame('session/create', {'prompt': sys.argv[2]}))\n"
    "    while True:\n"
    "        for message in line.arrived():\n"
    "            if 'params' in message: print(message['params']['session_id'], flush=True)\n"
)


class Neighbour(NamedTuple):
    """Somebody who shares the daemon. `begin` makes it there, given the state root and a line of its own; it tells the
    sessions whose turns are to go on, and undoes nothing: its daemon ends with the round."""

    name: str
    begin: Callable[[str, Line], AbstractContextManager[list[str]]]


class Felt(NamedTuple):
    latencies: list[float]
    growth: float


def run(scale: Scale) -> Iterator[Row]:
    total, rounds = scale.of(4000, 100), scale.of(3, 1)
    felt = {each.name: [_round(each, total) for _ in range(rounds)] for each in NEIGHBOURS}
    good = felt["an eager reader"]
    for name, found in felt.items():
        taken, alone = ([each.latencies for each in several] for several in (found, good))
        bad = found is not good
        for what, share, goal in (("p50", 0.5, None), ("p99", 0.99, GOAL_MS)):
            yield Row(
                what=f"others beside {name}, {what}",
                figure=over_rounds(taken, share),
                best=best_of(taken, share),
                baseline=over_rounds(alone, share) if bad else None,
                against="eager reader" if bad else "",
                goal=goal,
            )
    for name in ("a slow reader", "a reader that stops"):
        yield Row(
            what=f"memory that {name} costs",
            figure=statistics.median(each.growth for each in felt[name]),
            unit="MiB",
            baseline=statistics.median(each.growth for each in good),
            against="eager reader",
            goal=GOAL_MIB,
            judged="difference",
        )


def _round(neighbour: Neighbour, total: int) -> Felt:
    request = frame("realm/current", {})
    with (
        folder() as root,
        instant_daemon(root) as pid,
        daemon_lines(root, "bench", CLIENTS + 2) as (other, judge, *clients),
        neighbour.begin(root, other) as sessions,
    ):
        hammer(clients, lambda _: request, CLIENTS, pid=pid)
        cursors = [_running(judge, session) for session in sessions]
        memory = psutil.Process(pid).memory_info().rss
        outcome = hammer(clients, lambda _: request, total, pid=pid, rate=PACE)
        growth = (psutil.Process(pid).memory_info().rss - memory) / _MIB
        if not all(_running(judge, session) > cursor for session, cursor in zip(sessions, cursors, strict=True)):
            raise RuntimeError(f"a turn stood still beside {neighbour.name}")
    if outcome.codes:
        raise RuntimeError(f"requests beside {neighbour.name} failed: {outcome.codes}")
    return Felt(outcome.latencies, max(growth, 0.01))


def _running(line: Line, session_id: str) -> int:
    """The cursor of a turn that is to be running."""
    read = line.call("session/read", {"session_id": session_id})
    if not read["is_active"]:
        raise RuntimeError("a turn has ended with its client")
    cursor: int = read["cursor"]
    return cursor


def _flood(line: Line) -> list[str]:
    """A turn that says much to this line."""
    line.send(frame("session/create", {"prompt": FLOOD}))
    messages: list[Any] = []
    while not messages:
        messages = line.arrived()
    return [messages[0]["params"]["session_id"]]


def _reading(line: Line, count: int, pause: float) -> Iterator[list[str]]:
    """Read so many bytes, then pause, until the line is closed."""

    def read() -> None:
        with contextlib.suppress(OSError):
            while line.sock.recv(count):
                time.sleep(pause)

    sessions = _flood(line)
    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield sessions
    finally:
        line.sock.shutdown(socket.SHUT_RDWR)
        reader.join()


@contextmanager
def _eager(_: str, line: Line) -> Iterator[list[str]]:
    yield from _reading(line, 256 * 1024, 0.001)


@contextmanager
def _slow(_: str, line: Line) -> Iterator[list[str]]:
    yield from _reading(line, _SLOW_BYTES, _SLOW_SECONDS)


@contextmanager
def _stopped(_: str, line: Line) -> Iterator[list[str]]:
    yield _flood(line)


@contextmanager
def _killed(root: str, _: Line) -> Iterator[list[str]]:
    """Clients in mid-turn, which are killed one after the other while the others are measured."""
    command = [sys.executable, "-c", _CLIENT, root, STREAM]
    clients = [
        subprocess.Popen(command, cwd=ROOT, env=environment(root), stdout=subprocess.PIPE) for _ in range(KILLED)
    ]
    sessions = [client.stdout.readline().decode().strip() for client in clients if client.stdout is not None]

    def kill() -> None:
        for client in clients:
            time.sleep(0.01)
            client.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield sessions
    finally:
        killer.join()
        for client in clients:
            client.communicate()


NEIGHBOURS = (
    Neighbour("an eager reader", _eager),
    Neighbour("a slow reader", _slow),
    Neighbour("a reader that stops", _stopped),
    Neighbour("clients killed in mid-turn", _killed),
)
