"""The ledger of a turn: each tool call is in the store before it runs, and again when it has."""

import json
from collections.abc import Sequence
from dataclasses import replace

from ..agent.loop import ToolOutcome
from ..contract.message import ToolUseData
from ..store.api import RealmStore, ToolRow, ToolState

# What a ledger keeps of a tool's outcome; the whole of it is in the transcript.
_DETAIL_CHARS = 200


class StoredLedger:
    """`agent.loop.Ledger` on top of a store."""

    def __init__(self, store: RealmStore, turn_id: str) -> None:
        self._store = store
        self._turn_id = turn_id
        self._rows: dict[str, ToolRow] = {}

    async def declared(self, calls: Sequence[ToolUseData]) -> None:
        rows = [
            ToolRow(
                turn_id=self._turn_id,
                call_id=call["id"],
                position=len(self._rows) + position,
                name=call["name"],
                arguments=json.dumps(call["args"], ensure_ascii=False),
                state="declared",
            )
            for position, call in enumerate(calls)
        ]
        self._rows.update((row.call_id, row) for row in rows)
        await self._store.put_tools(rows)

    async def started(self, call_id: str) -> None:
        await self._put(replace(self._rows[call_id], state="started"))

    async def ended(self, call_id: str, outcome: ToolOutcome) -> None:
        detail = json.dumps({"preview": outcome.content[:_DETAIL_CHARS]}, ensure_ascii=False)
        state: ToolState = "failed" if outcome.is_error else "ran"
        await self._put(replace(self._rows[call_id], state=state, detail=detail))

    async def _put(self, row: ToolRow) -> None:
        self._rows[row.call_id] = row
        await self._store.put_tools([row])
