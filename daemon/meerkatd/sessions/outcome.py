"""How a turn ended, as its row keeps it.

The text of an answer is in the transcript already; storing it in the turn's row too would nearly double what short
turns take on the disk. The row keeps the number of the message that has it, and `load` puts it back.
"""

import json
from collections.abc import Sequence
from typing import Any

from ..agent.structured import value_of
from ..contract.message import Message
from ..errors import MeerkatError
from ..store.api import RealmStore, TurnRow
from . import views
from .turn import Turn

# Fields of a result that other columns of the row tell.
_TOLD_BY_ROW = ("session_id", "session_ref", "turn_id", "text", "usage", "structured_output")
# What most turns have, and which is therefore left out.
_USUAL = {"turns": 1, "tool_calls": 0, "stop_reason": "end_turn"}


def dump(turn: Turn, output: Sequence[Message], *, first_seq: int, compaction: bool = False) -> str:
    """The document of a turn that has ended.

    Args:
        output: the turn's messages.
        first_seq: number of the first of them.
        compaction: the turn only compacted.
    """
    document: dict[str, Any] = {"compaction": True} if compaction else {}
    answers = [place for place, message in enumerate(output) if message["role"] == "block_assistant"]
    if answers:
        document["answer"] = first_seq + answers[-1]
    if turn.error is None:
        assert turn.result is not None, "a turn that has ended has a result or an error"
        kept = {key: value for key, value in turn.result.items() if key not in _TOLD_BY_ROW}
        if "structured_output" in turn.result:
            # The answer's text has it.
            document["structured"] = True
        usual = {} if compaction else _USUAL
        document["result"] = {key: value for key, value in kept.items() if usual.get(key) != value}
    else:
        details = {key: value for key, value in turn.error.details.items() if key != "text"}
        document["error"] = {"code": turn.error.code, "message": turn.error.message, "details": details}
        if "text" in turn.error.details:
            document["had_text"] = True
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


async def load(row: TurnRow, store: RealmStore, *, realm_id: str, into: Turn) -> None:
    """Give `into` the result or the error with which a turn ended before."""
    document: dict[str, Any] = json.loads(row.detail) if row.detail else {}
    error = views.error_of(row)
    if error is not None:
        into.error = MeerkatError(error["message"], code=error["code"], details=error.get("details"))
        if document.get("had_text"):
            into.error.details["text"] = await _text(row, store, document)
    elif "compaction" in document and "result" in document:
        kept = dict(document["result"])
        cursor = kept.pop("cursor")
        into.result = {
            "session_id": row.session_id,
            "session_ref": f"{realm_id}:{row.session_id}",
            "turn_id": row.turn_id,
            **kept,
            "usage": views.usage(row.usage),
            "cursor": cursor,
        }
    elif "result" in document:
        kept = {**_USUAL, **document["result"]}
        text = await _text(row, store, document)
        # In the order of the first answer, so that the two are equal as texts, too.
        into.result = {
            "session_id": row.session_id,
            "session_ref": f"{realm_id}:{row.session_id}",
            "turn_id": row.turn_id,
            "text": text,
            "turns": kept["turns"],
            "tool_calls": kept["tool_calls"],
            "usage": views.usage(row.usage),
            "model": kept["model"],
            "provider": kept["provider"],
            "stop_reason": kept["stop_reason"],
            **({"cost": kept["cost"]} if "cost" in kept else {}),
            **({"structured_output": value_of(text)} if document.get("structured") else {}),
            **({"schema_warnings": kept["schema_warnings"]} if "schema_warnings" in kept else {}),
            "cursor": kept["cursor"],
        }
    else:
        into.error = MeerkatError("The turn ended, but how it ended could not be stored.", code="TURN_LOST")


async def _text(row: TurnRow, store: RealmStore, document: dict[str, Any]) -> str:
    seq = document.get("answer")
    if seq is None:
        return ""
    page = await store.messages(row.session_id, offset=seq, limit=1, max_bytes=1)
    message: Message = json.loads(page.bodies[0])
    assert message["role"] == "block_assistant", "the row names the message that has the answer"
    return "".join(block["data"]["text"] for block in message["blocks"] if block["block_type"] == "text")
