"""Run a turn from the first request to its end, with Ctrl-C as people know it.

    asked ── reply ─────────────────────────────────────────────► done
      │ Ctrl-C: turn/interrupt
      └────────► interrupting ── reply (after the commit) ──────► REQUEST_CANCELLED
                     │ Ctrl-C
                     └────────► left; the daemon goes on with the interrupt

The turn belongs to the daemon: whatever happens to this program, the session is kept.
"""

import sys
import time
from typing import Any

from meerkat_client import BlockingClient
from meerkat_client.errors import RkatError

from . import budgets, output
from .answer import AnswerView
from .options import Options
from .references import name_from_here
from .terminal import Style, visible_line


class TurnOf:
    """A turn that this program asks for.

    Args:
        reference: the session as the user named it; None for a new one.
    """

    def __init__(self, client: BlockingClient, view: AnswerView, options: Options, *, reference: str | None) -> None:
        self._client = client
        self._view = view
        self._options = options
        self._reference = reference
        self._interrupted = False
        self._began = time.monotonic()

    def run(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Ask for the turn and wait for its result.

        Raises:
            RkatError: as the daemon says, with a hint that names the session.
            KeyboardInterrupt: for the second time.
        """
        self._view.begin()
        pending = self._client.begin(method, params)
        try:
            while True:
                try:
                    result: dict[str, Any] = self._client.wait(pending, self._on_notification)
                    return result
                except KeyboardInterrupt:
                    if self._interrupted:
                        self._view.pause()
                        output.note("left; the daemon goes on interrupting the turn")
                        raise
                    self._interrupt(pending)
        except RkatError as error:
            raise self._explained(error) from error
        finally:
            self._view.pause()

    def footer(self, result: dict[str, Any]) -> None:
        """A line on stderr: which session, which model, how many tokens, how long."""
        usage, cost = result["usage"], budgets.money(result.get("cost"))
        parts = (
            f"session {self.name(result['session_id'])}",
            result["model"],
            f"{usage['input_tokens']} + {usage['output_tokens']} tokens",
            # What is free needs no word.
            *((cost,) if cost is not None and cost != budgets.dollars(0) else ()),
            f"{time.monotonic() - self._began:.1f} s",
        )
        output.note(Style(sys.stderr).dim(visible_line(" · ".join(parts))))

    def name(self, session_id: str) -> str:
        """How the user can name the session from here: with its realm where nothing else leads there."""
        return name_from_here(
            session_id,
            realm_id=self._client.info["realm_id"],
            reference=self._reference,
            isolated=self._options.isolated,
        )

    def _on_notification(self, method: str, params: dict[str, Any]) -> None:
        if method == "session/event":
            self._view.take(params["event"])

    def _interrupt(self, pending: Any) -> None:
        self._interrupted = True
        self._view.pause()
        session_id = self._view.session_id
        if session_id is not None:
            # Its reply says no more than that of the turn, which comes at the same time.
            self._client.begin("turn/interrupt", {"session_id": session_id})
        else:
            self._client.cancel(pending)
        if not self._options.json:
            output.note("interrupting; once more to leave at once")

    def _explained(self, error: RkatError) -> RkatError:
        """The error with the session's id and a next step that can be copied."""
        session_id = error.details.get("session_id") or self._view.session_id
        if not isinstance(session_id, str):
            return error
        name, again = self.name(session_id), self._options.again()
        message, hint = error.message, error.hint
        if error.code == "REQUEST_CANCELLED":
            hint = f'Go on with: rkat resume{again} {name} "..."'
        elif error.code == "SESSION_BUSY":
            message, hint = (
                busy_message(error),
                (
                    f"Watch it with `rkat sessions attach{again} {name}`, "
                    f"or stop it with `rkat sessions interrupt{again} {name}`."
                ),
            )
        elif error.code == "DAEMON_UNAVAILABLE":
            message = "The daemon ended before it told how the turn ended."
            hint = f"The session is kept: `rkat sessions show{again} {name}` tells what became of the turn."
        else:
            hint = f"{hint} The session is {name}."
        details = {**error.details, "session_id": session_id}
        return RkatError(error.code, message, details=details, hint=hint, rpc_code=error.rpc_code)


def busy_message(error: RkatError) -> str:
    """Who holds the session, and since when."""
    facts = error.details
    started = facts.get("started_at_ms")
    if not isinstance(started, int):
        return error.message
    pid = f", pid {facts['pid']}" if "pid" in facts else ""
    seconds = max(0, round(time.time() - started / 1000))
    return (
        f"A turn is running in session {facts['session_id']}: {facts.get('client')} "
        f"({facts.get('surface')}{pid}) started it {seconds} s ago."
    )
