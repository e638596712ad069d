"""Watch a turn that somebody else started: what it has said so far, then what it says, until it ends."""

import sys
from collections.abc import Iterator
from typing import Any

from meerkat_client import BlockingClient
from meerkat_client.errors import RkatError
from meerkat_client.wire.codes import TABLE

from . import output
from .answer import AnswerView
from .connection import connect
from .options import Options
from .references import name_from_here
from .terminal import Style, is_terminal, visible_line


def watch(options: Options, reference: str) -> None:
    """Follow the running turn of a session to its end.

    Raises:
        RkatError: SESSION_NOT_RUNNING; the error with which the turn ended; DAEMON_UNAVAILABLE.
        KeyboardInterrupt: after saying that the turn goes on.
    """
    view = AnswerView(stream=True, verbose=options.verbose, quiet=options.json, again=options.again())
    with connect(options, reference=reference) as client:
        opened = client.call("session/stream_open", {"session_id": reference, "until": "turn_end"})
        session_id = opened["session_id"]
        if "active_turn" not in opened:
            raise RkatError(
                "SESSION_NOT_RUNNING",
                f"No turn is running in session {session_id}.",
                details={"session_id": session_id},
            )
        if not options.json:
            _introduce(opened["active_turn"])
        name = name_from_here(
            session_id, realm_id=client.info["realm_id"], reference=reference, isolated=options.isolated
        )
        view.begin()
        try:
            for event in _events(client, opened["stream_id"]):
                view.take(event)
        except KeyboardInterrupt:
            view.pause()
            output.note(f"left; the turn goes on: rkat sessions attach{options.again()} {name}")
            raise
        finally:
            view.pause()
    _conclude(options, session_id, name, view)


def _events(client: BlockingClient, stream_id: str) -> Iterator[dict[str, Any]]:
    for method, params in client.events():
        if params.get("stream_id") != stream_id:
            continue
        if method == "session/stream_end":
            return
        if method == "session/stream_event":
            yield params["event"]


def _introduce(turn: dict[str, Any]) -> None:
    if is_terminal(sys.stderr):
        who = visible_line(f"{turn['client']} ({turn['surface']})")
        output.note(Style(sys.stderr).dim(f"a turn of {who}; Ctrl-C leaves and lets it run"))


def _conclude(options: Options, session_id: str, name: str, view: AnswerView) -> None:
    """Say how the turn ended: its text and usage, or its error."""
    outcome = view.outcome
    if outcome is None:
        raise RkatError(
            "DAEMON_UNAVAILABLE",
            "The stream ended before the turn did.",
            details={"session_id": session_id},
            hint=f"`rkat sessions show{options.again()} {name}` tells what became of the turn.",
        )
    if outcome["type"] == "run_failed":
        raise _failed(options, session_id, name, outcome)
    if options.json:
        output.document({"session_id": session_id, "text": outcome["result"], "usage": outcome["usage"]})
        return
    view.finish(outcome["result"])
    usage = outcome["usage"]
    tokens = f"{usage['input_tokens']} + {usage['output_tokens']} tokens"
    output.note(Style(sys.stderr).dim(f"session {name} · {tokens}"))


def _failed(options: Options, session_id: str, name: str, outcome: dict[str, Any]) -> RkatError:
    code = "REQUEST_CANCELLED" if outcome["error_class"] == "cancelled" else outcome["error_class"].upper()
    return RkatError(
        code if code in TABLE else "INTERNAL_ERROR",
        outcome["error"],
        details={"session_id": session_id},
        hint=f'Go on with: rkat resume{options.again()} {name} "..."',
    )
