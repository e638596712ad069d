"""The ledger of a turn: each tool call is in the store before it runs, and again when it has."""

import json
from collections.abc import Sequence
from dataclasses import replace

from ..agent.loop import ToolOutcome
from ..contract.message import ToolUseData
from ..store.api import RealmStore, ToolRow, ToolState
from .charging import Charging

# What a ledger keeps of a tool's outcome; the whole of it is in the transcript.
_DETAIL_CHARS = 200


class StoredLedger:
    """`agent.loop.Ledger` on top of a store. What the turn has cost so far is stored with the calls that it led to."""

    def __init__(self, store: RealmStore, turn_id: str, *, charging: Charging) -> None:
        self._store = store
        self._charging = charging
        self._turn_id = turn_id
        # Rows of the answer that is being carried out, by the provider's id of the call.
        self._rows: dict[str, ToolRow] = {}
        self._declared = 0
        self._ids: set[str] = set()

    async def declared(self, calls: Sequence[ToolUseData]) -> None:
        rows = [
            ToolRow(
                turn_id=self._turn_id,
                call_id=self._unused(call["id"]),
                position=self._declared + position,
                name=call["name"],
                arguments=json.dumps(call["args"], ensure_ascii=False),
                state="declared",
            )
            for position, call in enumerate(calls)
        ]
        self._declared += len(rows)
        self._rows = {call["id"]: row for call, row in zip(calls, rows, strict=True)}
        charges = self._charging.unsaved()
        await self._store.put_tools(rows, charges=charges)
        self._charging.saved(charges)

    async def started(self, call_id: str) -> None:
        await self._put(call_id, replace(self._rows[call_id], state="started"))

    async def ended(self, call_id: str, outcome: ToolOutcome) -> None:
        detail = json.dumps({"preview": outcome.content[:_DETAIL_CHARS]}, ensure_ascii=False)
        state: ToolState = "failed" if outcome.is_error else "ran"
        await self._put(call_id, replace(self._rows[call_id], state=state, detail=detail))

    def _unused(self, call_id: str) -> str:
        """`call_id`, or with a number behind it: some servers begin to count anew with each answer."""
        name, number = call_id, 1
        while name in self._ids:
            number += 1
            name = f"{call_id}#{number}"
        self._ids.add(name)
        return name

    async def _put(self, call_id: str, row: ToolRow) -> None:
        self._rows[call_id] = row
        await self._store.put_tools([row])
