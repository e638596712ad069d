"""Bytes on the disk for each byte of transcript, written by real turns of two messages."""

import json
import os
from collections.abc import Iterator

from tests.bench.harness import Row, Scale, folder, instant_daemon
from tests.bench.load import Line, daemon_lines, frame, hammer

CLIENTS = 16
TEXT_BYTES = 500
GOAL_RATIO = 1.3


def run(scale: Scale) -> Iterator[Row]:
    turns = scale.of(5000, 64)
    with folder() as root:
        with instant_daemon(root) as pid, daemon_lines(root, "bench", CLIENTS) as clients:
            prompt = "p" * TEXT_BYTES
            sessions = [line.call("session/create", {"prompt": prompt})["session_id"] for line in clients]
            params = [{"session_id": each, "prompt": prompt, "session_events": False} for each in sessions]
            frames = [frame("turn/start", each) for each in params]
            outcome = hammer(clients, frames.__getitem__, turns - CLIENTS, pid=pid)
            if outcome.codes:
                raise RuntimeError(f"turns failed: {outcome.codes}")
            counted = [_transcript_bytes(clients[0], session) for session in sessions]
        # The daemon has folded its log and closed its files.
        realms = os.path.join(root, "realms")
        stored = sum(
            os.path.getsize(os.path.join(where, name)) for where, _, names in os.walk(realms) for name in names
        )
    messages = sum(count for count, _ in counted)
    transcript = sum(size for _, size in counted)
    yield Row(
        what=f"stored, {messages} messages of {TEXT_BYTES} characters",
        figure=stored / 1024,
        unit="KiB",
        baseline=transcript / 1024,
        against="JSON of history",
        goal=GOAL_RATIO,
        judged="ratio",
    )


def _transcript_bytes(line: Line, session: str) -> tuple[int, int]:
    """How many messages a session has, and the bytes of their JSON, without spaces."""
    count = size = 0
    while True:
        page = line.call("session/history", {"session_id": session, "offset": count, "limit": 1000})
        count += len(page["messages"])
        size += sum(
            len(json.dumps(each, ensure_ascii=False, separators=(",", ":")).encode()) for each in page["messages"]
        )
        if not page["has_more"]:
            return count, size
