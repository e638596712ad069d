"""Compaction on demand: a turn without a prompt, which only summarises the older part of what the model sees.

It is a turn in every other way: one at a time, written ahead, interrupted from anywhere, charged, told to whoever asks
again with the same key. It adds nothing to the transcript; what it made is in the session's document, in one
transaction with its end.
"""

import json
from dataclasses import dataclass
from typing import Any

from ..agent.context import failed
from ..agent.loop import AgentRun
from ..contract.event import EventPayload
from ..errors import MeerkatError
from ..store.api import TurnRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Compact:
    """What such a turn is to do; it stands where others have their prompt.

    Attributes:
        recent_turns: so many turns stay as they are; None for what the config says.
    """

    recent_turns: int | None = None

    def dump(self) -> str:
        return json.dumps({"compact": {"recent_turns": self.recent_turns}})


def is_compaction(row: TurnRow) -> bool:
    """Whether a stored turn is one of these, whatever became of it."""
    if row.prompt:
        return isinstance(json.loads(row.prompt), dict)
    return row.detail is not None and "compaction" in json.loads(row.detail)


async def compact(run: AgentRun, wanted: Compact) -> None:
    """Do it; nothing happens when the context has no more than what is to be kept.

    Raises:
        MeerkatError: the model could not be asked, or had nothing to say; or a budget does not allow the call.
    """
    assert run.context is not None, "every turn has a context"
    through = run.context.place_on_demand(wanted.recent_turns)
    if through is not None:
        with run.meter.running():
            run.context.told = await run.context.compact(run.request, run.ask_aside, through)


def result_part(run: AgentRun) -> dict[str, Any]:
    """What came of it, for the result."""
    context = run.context
    assert context is not None, "every turn has a context"
    if context.told is None or context.told["type"] != "compaction_completed":
        return {"compacted": False, "messages_before": len(context.view), "messages_after": len(context.view)}
    told = context.told
    return {
        "compacted": True,
        "through": context.view.start,
        "messages_before": told["messages_before"],
        "messages_after": told["messages_after"],
        "summary_tokens": told["summary_tokens"],
    }


def last_event(run: AgentRun | None, error: MeerkatError | None) -> EventPayload | None:
    """The event that ends it; None when there was nothing to do."""
    if error is not None:
        return failed(error)
    return run.context.told if run is not None and run.context is not None else None
