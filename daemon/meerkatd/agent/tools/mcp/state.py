"""The life of an MCP server as a table. No I/O, no clock.

    STOPPED ──wanted──► STARTING ──ready──► READY ──gone──► WAITING ──again──► STARTING
       ▲                   └──────failed──────┴──────────────►┘
       └──────────────────────── let_go ─────────────────────────┘

WAITING is the pause before the next attempt; it doubles with each attempt that fails, and begins anew with a server
that was ready for a while.
"""

from typing import Literal

State = Literal["stopped", "starting", "ready", "waiting"]
Happening = Literal["wanted", "ready", "failed", "gone", "again", "let_go"]

TRANSITIONS: dict[tuple[State, Happening], State] = {
    ("stopped", "wanted"): "starting",
    ("starting", "ready"): "ready",
    ("starting", "failed"): "waiting",
    ("ready", "gone"): "waiting",
    ("waiting", "again"): "starting",
    ("starting", "let_go"): "stopped",
    ("ready", "let_go"): "stopped",
    ("waiting", "let_go"): "stopped",
}

FIRST_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 60.0
# Ready for this long, it is not one that dies of its own start.
STEADY_SECONDS = 30.0


def advance(state: State, happening: Happening) -> State:
    """The state after `happening`. A step that the table does not have is a bug: KeyError."""
    return TRANSITIONS[state, happening]


def pause_after(failures: int) -> float:
    """Seconds before the next attempt, after so many failures in a row."""
    return min(MAX_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (failures - 1))
