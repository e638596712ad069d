"""The owner is killed while it writes: what it acknowledged is there, whole, and the realm opens again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from tests.store import crash_writer
from tests.store.conformance.bench import BIG, Wiring, durable

from meerkatd.store.api import RealmStore, TurnEnd, UsageTotals

PATIENCE_S = 60.0


async def _write_and_kill(name: str, folder: str, acknowledged: int) -> dict[str, int]:
    """Let a process write until it has acknowledged that many turns, and kill it; turns known by session."""
    counts: dict[str, int] = {}
    command = [sys.executable, crash_writer.__file__, name, folder]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    text = b""
    try:
        while text.count(b"\n") < acknowledged:
            chunk = await process.stdout.receive_some()
            assert chunk, "the writer ended by itself"
            text += chunk
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
    async for chunk in process.stdout:
        text += chunk
    for line in text.decode().splitlines(keepends=True):
        session_id, ordinal = line.split()
        counts[session_id] = int(ordinal) + 1
    return counts


async def _settle(store: RealmStore, floor: dict[str, int]) -> None:
    """Check each session against what was acknowledged, then end the turns that were lost."""
    for session_id in crash_writer.SESSIONS:
        session = await store.session(session_id)
        if session is None:
            assert session_id not in floor
            continue
        page = await store.messages(session_id, offset=0, limit=1_000_000, max_bytes=BIG)
        turns = [body.split()[0] for body in page.bodies]
        whole = [crash_writer.body(int(name.split(".")[0]), int(name.split(".")[1])) for name in turns]
        assert list(page.bodies) == whole
        assert turns == sorted(turns, key=lambda name: tuple(map(int, name.split("."))))
        ended = [int(name.split(".")[0]) for name in turns[::2]]
        assert turns == [f"{ordinal}.{part}" for ordinal in ended for part in range(2)]
        assert session.message_count == page.total == len(page.bodies)
        assert session.usage.output_tokens == len(ended)
        if session_id in floor:
            assert floor[session_id] - 1 in ended
            assert len(ended) - ended.index(floor[session_id] - 1) <= 2, "more than one turn was not acknowledged"
    lost = await store.running_turns()
    assert len({turn.session_id for turn in lost}) == len(lost)
    for turn in lost:
        end = TurnEnd(
            turn_id=turn.turn_id,
            session_id=turn.session_id,
            state="lost",
            ended_ms=3,
            detail="{}",
            messages=[],
            usage=UsageTotals(),
            event_seq=0,
        )
        await store.end_turn(end)


@durable
@pytest.mark.parametrize("kills", [8, pytest.param(300, marks=pytest.mark.long)])
async def test_killed_owner_loses_nothing_that_it_acknowledged(wiring: Wiring, kills: int, tmp_path: Path) -> None:
    folder = str(tmp_path)
    for number in range(kills):
        with trio.fail_after(PATIENCE_S):
            floor = await _write_and_kill(wiring.name, folder, acknowledged=1 + 37 * number % 200)
            store = await wiring.backend().open(folder, create=False)
            try:
                await _settle(store, floor)
            finally:
                await store.aclose()
