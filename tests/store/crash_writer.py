"""A process that appends to a realm until it is killed. What was acknowledged, and only that, it prints.

    python crash_writer.py BACKEND FOLDER

One line for each acknowledged turn: the session's id and the number of the turn.
"""

import os
import sys

import trio

from meerkatd.ids import new_turn_id
from meerkatd.store import backend
from meerkatd.store.api import NewMessage, RealmStore, SessionRow, TurnEnd, TurnRow, UsageTotals

SESSIONS = tuple(f"01900000-0000-7000-8000-00000000000{n}" for n in range(4))


def body(ordinal: int, part: int) -> str:
    return f"{ordinal}.{part} " + "x" * (200 * (1 + ordinal % 7))


async def _write(store: RealmStore, session_id: str) -> None:
    session = await store.session(session_id)
    if session is None:
        await store.create_session(SessionRow(session_id=session_id, created_ms=0, updated_ms=0))
    ordinal = 0 if session is None else session.turn_count
    while True:
        turn_id = new_turn_id()
        turn = TurnRow(
            turn_id=turn_id, session_id=session_id, ordinal=ordinal, state="running", started_ms=1, prompt='"p"'
        )
        await store.begin_turn(turn, event_seq=ordinal)
        end = TurnEnd(
            turn_id=turn_id,
            session_id=session_id,
            state="completed",
            ended_ms=2,
            detail="{}",
            messages=[NewMessage(role="user", body=body(ordinal, part)) for part in range(2)],
            usage=UsageTotals(output_tokens=1),
            event_seq=ordinal,
        )
        await store.end_turn(end)
        os.write(1, f"{session_id} {ordinal}\n".encode())
        ordinal += 1


async def main(name: str, folder: str) -> None:
    store = await backend(name).open(folder, create=True)
    async with trio.open_nursery() as nursery:
        for session_id in SESSIONS:
            nursery.start_soon(_write, store, session_id)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2])
