"""Many clients in one process, at a price of some 10 us a request, so that the daemon is the slower half.

A line is one connection with at most one request in flight. Replies are told from events by `id`; a request whose reply
is an error counts like any other, and its code is kept.
"""

import os
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.bench.harness import PATIENCE_S, cpu_seconds

from meerkat_client import _dial
from meerkat_client.wire.framing import FrameReader, decode, encode_frame
from meerkat_client.wire.limits import MAX_REPLY_FRAME, MAX_REQUEST_FRAME

_CHUNK = 256 * 1024
Params = dict[str, Any]


class Line:
    """One connection; `initialize` it before anything else."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE_S)
        self.sock = sock
        self.sent_at = 0.0
        self._reader = FrameReader(MAX_REPLY_FRAME)

    def initialize(self, realm_id: str) -> None:
        client = {"name": "bench", "version": "0", "surface": "sdk", "pid": os.getpid()}
        self.call("initialize", {"client": client, "realm_id": realm_id})

    def call(self, method: str, params: Params) -> Any:
        """The result, events on the way dropped. RuntimeError when it is an error."""
        self.send(frame(method, params))
        reply = self.reply()
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply["result"]

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reply(self) -> Any:
        """Wait for the reply of the request that is in flight."""
        while (reply := reply_in(self.arrived())) is None:
            continue
        return reply

    def arrived(self) -> list[Any]:
        """The messages that the next bytes complete; waits for bytes."""
        data = self.sock.recv(_CHUNK)
        if not data:
            raise ConnectionError("the daemon closed the connection")
        self._reader.feed(data)
        messages = []
        while isinstance(body := self._reader.next(), bytes):
            messages.append(decode(body, trusted=True))
        return messages


def reply_in(messages: Sequence[Any]) -> Any:
    """The reply among `messages`; None when all are events."""
    return next((message for message in messages if "id" in message), None)


def frame(method: str, params: Params) -> bytes:
    """A request; one line has one in flight, so one id is enough."""
    return encode_frame({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, MAX_REQUEST_FRAME)


@contextmanager
def lines(connect: Callable[[], socket.socket], realm_id: str, count: int) -> Iterator[list[Line]]:
    with ExitStack() as stack:
        opened = [Line(stack.enter_context(connect())) for _ in range(count)]
        for line in opened:
            line.initialize(realm_id)
        yield opened


def daemon_lines(state_root: str, realm_id: str, count: int) -> AbstractContextManager[list[Line]]:
    return lines(lambda: _dial.connect(state_root=state_root, start=False), realm_id, count)


def echo_lines(path: str, count: int) -> AbstractContextManager[list[Line]]:
    """Lines to an echo server that listens at `path`."""

    def connect() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(path)
        return sock

    return lines(connect, "echo", count)


@dataclass(slots=True)
class Outcome:
    """Seconds that each request took, the errors by code, the seconds that all took together, and the server's CPU for
    each in microseconds."""

    latencies: list[float] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    cpu_us: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds


def hammer(
    opened: Sequence[Line], requests: Callable[[int], bytes], total: int, *, pid: int, rate: float | None = None
) -> Outcome:
    """Send `total` requests over the lines.

    Args:
        requests: the frame for the line of that number.
        pid: of the server.
        rate: requests per second over all lines together, sent at their time; a reply that is late does not hold up the
            clock, and its line's next request counts from when it was due. None: each line sends as soon as it can.
    """
    outcome = Outcome()
    poll = select.epoll()
    numbers = {line.sock.fileno(): number for number, line in enumerate(opened)}
    frames = [requests(number) for number in range(len(opened))]
    free: list[int] = list(range(len(opened)))
    for fileno in numbers:
        poll.register(fileno, select.EPOLLIN)
    cpu_before = cpu_seconds(pid)
    begun = time.perf_counter()
    sent = 0
    with poll:
        while len(outcome.latencies) < total:
            while free and sent < total and (rate is None or begun + sent / rate <= time.perf_counter()):
                line = opened[number := free.pop(0)]
                line.sent_at = time.perf_counter() if rate is None else begun + sent / rate
                line.send(frames[number])
                sent += 1
            wait = PATIENCE_S
            if rate is not None and sent < total and free:
                wait = max(0.0, begun + sent / rate - time.perf_counter())
            ready = poll.poll(wait)
            if not ready and wait == PATIENCE_S:
                raise TimeoutError(f"{sent - len(outcome.latencies)} requests were not answered in {PATIENCE_S:g} s")
            for fileno, _ in ready:
                if _settle(opened[numbers[fileno]], outcome):
                    free.append(numbers[fileno])
    outcome.seconds = time.perf_counter() - begun
    outcome.cpu_us = (cpu_seconds(pid) - cpu_before) / total * 1e6
    return outcome


def _settle(line: Line, outcome: Outcome) -> bool:
    """Take the line's reply into account, if it is there."""
    reply = reply_in(line.arrived())
    if reply is None:
        return False
    outcome.latencies.append(time.perf_counter() - line.sent_at)
    if "error" in reply:
        outcome.codes[reply["error"]["data"]["code"]] += 1
    return True
