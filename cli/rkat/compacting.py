"""`rkat sessions compact`: let a summary stand for the older part of what the model sees."""

from typing import Any

from . import output
from .answer import AnswerView
from .connection import connect
from .options import Options
from .turns import TurnOf


def compact(options: Options, session: str, *, keep: int | None) -> None:
    """Ask for it and tell what came of it. Ctrl-C interrupts it; nothing is changed then.

    Raises:
        RkatError: SESSION_BUSY while a turn runs; what the model's provider refused.
    """
    params: dict[str, Any] = {"session_id": session}
    if keep is not None:
        params["recent_turns"] = keep
    view = AnswerView(stream=False, verbose=options.verbose, quiet=options.json)
    with connect(options, reference=session) as client:
        turn = TurnOf(client, view, options, reference=session)
        result = turn.run("session/compact", params)
        if options.json:
            output.document(result)
            return
        if not result["compacted"]:
            print(f"nothing to do: the model sees {result['messages_before']} messages, and all of them are recent")
            return
        print(
            f"compacted {turn.name(result['session_id'])}: the model sees {result['messages_after']} messages instead "
            f"of {result['messages_before']}; the history stays as it is"
        )
        turn.footer(result)
