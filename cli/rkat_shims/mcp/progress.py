"""What a turn does, as lines of progress. State only, no I/O.

Text is gathered for a moment, because a model sends it word by word and a client draws each line. Put together, the
texts are what the model has written; lines about tools and retries are between them.
"""

from typing import Final

from meerkat_client.events import (
    Event,
    Retrying,
    RunStarted,
    StreamTruncated,
    TextDelta,
    ToolCallRequested,
    ToolExecutionCompleted,
    ToolExecutionTimedOut,
)

# Ten lines a second are as fast as anybody reads.
GATHER_SECONDS: Final = 0.1


class Progress:
    """Feed it events; it says what to tell."""

    def __init__(self) -> None:
        self._text = ""
        self._told_at = float("-inf")

    def take(self, event: Event, now: float) -> list[str]:
        """What is to be told now.

        Args:
            now: seconds of any clock that goes forward.
        """
        if isinstance(event, TextDelta):
            self._text += event.delta
            return self._gathered(now) if now - self._told_at >= GATHER_SECONDS else []
        line = _line(event)
        return [*self._gathered(now), line] if line else []

    def rest(self) -> list[str]:
        """What was gathered and not told yet; asked at the end."""
        return self._gathered(self._told_at)

    def _gathered(self, now: float) -> list[str]:
        text, self._text = self._text, ""
        if not text:
            return []
        self._told_at = now
        return [text]


def _line(event: Event) -> str | None:
    match event:
        case RunStarted(session_id=session_id):
            return f"[session {session_id}]"
        case ToolCallRequested(name=name):
            return f"[tool {name} is called]"
        case ToolExecutionCompleted(name=name, is_error=is_error):
            return f"[tool {name} {'failed' if is_error else 'is done'}]"
        case ToolExecutionTimedOut(name=name):
            return f"[tool {name} took too long]"
        case Retrying(attempt=attempt, error=error):
            return f"[attempt {attempt} again: {error}]"
        case StreamTruncated():
            return "[some events are missing]"
    return None
