"""From an interrupt by another client to its reply, which comes after the commit of what the turn had produced."""

import time
from collections.abc import Iterator

from tests.bench.harness import Row, Scale, folder, instant_daemon, percentile
from tests.bench.instant_daemon import STREAM
from tests.bench.load import Line, daemon_lines, frame, reply_in

GOAL_MS = 50.0


def run(scale: Scale) -> Iterator[Row]:
    taken = []
    with folder() as root, instant_daemon(root), daemon_lines(root, "bench", 2) as (owner, other):
        session = owner.call("session/create", {"prompt": "hello"})["session_id"]
        for _ in range(scale.of(200, 5)):
            owner.send(frame("turn/start", {"session_id": session, "prompt": STREAM}))
            _streaming(owner)
            begun = time.perf_counter()
            outcome = other.call("turn/interrupt", {"session_id": session})["outcome"]
            taken.append(time.perf_counter() - begun)
            if outcome != "interrupted" or owner.reply()["error"]["data"]["code"] != "REQUEST_CANCELLED":
                raise RuntimeError(f"the turn was not interrupted but {outcome}")
    yield Row(what="interrupt to commit, p50", figure=percentile(taken, 0.5) * 1000)
    yield Row(what="interrupt to commit, p99", figure=percentile(taken, 0.99) * 1000, goal=GOAL_MS)


def _streaming(line: Line) -> None:
    """Wait until the turn has said its first word."""
    while True:
        messages = line.arrived()
        if reply_in(messages) is not None:
            raise RuntimeError(f"the turn ended too early: {messages[-1]}")
        if any(message["params"]["event"]["payload"]["type"] == "text_delta" for message in messages):
            return
