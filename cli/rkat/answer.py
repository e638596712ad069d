"""A turn as it is shown: the answer on stdout as it arrives, everything else on stderr.

Fed with the payloads of events, whichever notification brought them.
"""

import sys
from typing import Any

from . import budgets
from .references import short_all
from .spinner import Spinner
from .terminal import Style, cut, visible, visible_line, width

# Of a tool's arguments or result, with --verbose.
_TOOL_COLUMNS = 200


class AnswerView:
    """Shows one turn.

    Args:
        stream: write the answer as it arrives; otherwise `close` writes it.
        verbose: show reasoning and tool calls.
        again: options that lead back to this realm, for the commands that are shown.
        quiet: show nothing at all, because the caller writes a document.

    Attributes:
        session_id: the session, as soon as an event has named it.
        outcome: payload of the event that ended the turn.
    """

    def __init__(self, *, stream: bool, verbose: bool = False, quiet: bool = False, again: str = "") -> None:
        self._stream = stream and not quiet
        self._verbose = verbose and not quiet
        self._quiet = quiet
        self._again = again
        self._spinner = Spinner("waiting for the model")
        self._style = Style(sys.stderr)
        self._at_line_start = True
        self._streamed = False
        self._reasoning = False
        self.session_id: str | None = None
        self.outcome: dict[str, Any] | None = None

    def begin(self) -> None:
        if not self._quiet:
            self._spinner.start()

    def pause(self) -> None:
        """Make room for a line on stderr: no spinner, and the answer's line is ended."""
        self._spinner.stop()
        self._end_reasoning()
        self._end_line()

    def take(self, event: dict[str, Any]) -> None:
        """Show one event (an envelope)."""
        self.session_id = event["source"]["session_id"]
        payload = event["payload"]
        show = getattr(self, f"_on_{payload['type']}", None)
        if show is not None:
            show(payload)

    def finish(self, text: str) -> None:
        """The turn is completed; `text` is its answer, shown now unless it has been."""
        self._spinner.stop()
        if not self._quiet and not self._streamed:
            self._write(text)
        self.pause()

    # -- events, by their type ----------------------------------------------------------------------------------------

    def _on_text_delta(self, payload: dict[str, Any]) -> None:
        if self._stream and payload["delta"]:
            self._spinner.stop()
            self._end_reasoning()
            self._streamed = True
            self._write(payload["delta"])

    def _on_text_complete(self, payload: dict[str, Any]) -> None:
        self._end_line()

    def _on_turn_completed(self, payload: dict[str, Any]) -> None:
        # More calls of the model may follow, after tools have run.
        if payload["stop_reason"] == "tool_use":
            self.pause()
            self.begin()

    def _on_reasoning_delta(self, payload: dict[str, Any]) -> None:
        if self._verbose:
            self._spinner.stop()
            self._reasoning = True
            sys.stderr.write(self._style.dim(visible(payload["delta"])))
            sys.stderr.flush()

    def _on_tool_call_requested(self, payload: dict[str, Any]) -> None:
        self._aside(f"→ {payload['name']} {payload['args']}")

    def _on_tool_execution_completed(self, payload: dict[str, Any]) -> None:
        state = "failed" if payload["is_error"] else "done"
        self._aside(f"← {payload['name']} {state} in {payload['duration_ms']} ms")

    def _on_tool_execution_timed_out(self, payload: dict[str, Any]) -> None:
        self._aside(f"← {payload['name']} timed out after {payload['timeout_ms']} ms")

    def _on_approval_requested(self, payload: dict[str, Any]) -> None:
        approval = payload["approval"]
        self._say(f"{approval['tool']} {approval['arguments']} waits until somebody allows it:")
        name = short_all([approval["approval_id"]])[approval["approval_id"]]
        self._say(f"rkat approvals allow{self._again} {name}   or   rkat approvals deny{self._again} {name}")

    def _on_approval_decided(self, payload: dict[str, Any]) -> None:
        approval = payload["approval"]
        by = approval["decided_by"]["client"] if "decided_by" in approval else "the turn has ended"
        self._say(f"{approval['tool']}: {approval['state']} ({by})")

    def _on_tool_config_changed(self, payload: dict[str, Any]) -> None:
        change = payload["payload"]
        if change["status"].startswith("failed: "):
            self._say(f"the MCP server {change['target']} is not there: {change['status'].removeprefix('failed: ')}")

    def _on_retrying(self, payload: dict[str, Any]) -> None:
        plan, failure = payload["retry"]["plan"], payload["retry"]["failure"]
        self._say(
            f"trying again in {plan['selected_delay_ms'] / 1000:.1f} s "
            f"({plan['attempt']} of {plan['max_retries']}): {failure['message']}"
        )

    def _on_compaction_started(self, payload: dict[str, Any]) -> None:
        self._say(f"summarising the older part of {payload['message_count']} messages")

    def _on_compaction_failed(self, payload: dict[str, Any]) -> None:
        self._say(f"there is no summary: {payload['reason'].get('message', 'the model gave none')}")

    def _on_budget_warning(self, payload: dict[str, Any]) -> None:
        self._say(budgets.warning(payload))

    def _on_stream_truncated(self, payload: dict[str, Any]) -> None:
        self._say(f"{payload['reason']['dropped']} events were missed; the history has the whole text")

    def _on_run_completed(self, payload: dict[str, Any]) -> None:
        self.outcome = payload

    def _on_run_failed(self, payload: dict[str, Any]) -> None:
        self.outcome = payload
        self.pause()

    # -- writing ------------------------------------------------------------------------------------------------------

    def _aside(self, text: str) -> None:
        if self._verbose:
            self._say(cut(visible_line(text), min(width(), _TOOL_COLUMNS)))

    def _say(self, text: str) -> None:
        if self._quiet:
            return
        self.pause()
        print(self._style.dim(visible_line(text)), file=sys.stderr, flush=True)
        if not self._streamed:
            self.begin()

    def _write(self, text: str) -> None:
        from . import output

        output.text(text)
        sys.stdout.flush()
        if text:
            self._at_line_start = text.endswith("\n")

    def _end_line(self) -> None:
        if not self._at_line_start:
            self._at_line_start = True
            sys.stdout.write("\n")
            sys.stdout.flush()

    def _end_reasoning(self) -> None:
        if self._reasoning:
            self._reasoning = False
            print(file=sys.stderr, flush=True)
