"""The life of a turn as a table. No I/O, no clock.

    ADMITTED ──begun──► RUNNING ──finished──► COMPLETED
        │                  ├─────failed─────► FAILED
        └──interrupt──►    └──interrupt──► INTERRUPTING ──stopped──► INTERRUPTED

A turn that finishes or fails by itself while an interrupt is on its way keeps its own outcome: it is what happened.
"""

from typing import Literal

State = Literal["admitted", "running", "interrupting", "completed", "interrupted", "failed"]
Happening = Literal["begun", "interrupt", "finished", "failed", "stopped"]

TRANSITIONS: dict[tuple[State, Happening], State] = {
    ("admitted", "begun"): "running",
    ("admitted", "interrupt"): "interrupting",
    ("admitted", "failed"): "failed",
    ("running", "interrupt"): "interrupting",
    ("running", "finished"): "completed",
    ("running", "failed"): "failed",
    ("interrupting", "begun"): "interrupting",
    ("interrupting", "interrupt"): "interrupting",
    ("interrupting", "finished"): "completed",
    ("interrupting", "failed"): "failed",
    ("interrupting", "stopped"): "interrupted",
}
TERMINAL: frozenset[State] = frozenset({"completed", "interrupted", "failed"})


class ImpossibleTransition(Exception):
    """A bug: the caller asked for a step that the table does not have."""


def advance(state: State, happening: Happening) -> State:
    """The state after `happening`.

    Raises:
        ImpossibleTransition: the table has no such step.
    """
    try:
        return TRANSITIONS[state, happening]
    except KeyError:
        raise ImpossibleTransition(f"{happening} while {state}") from None
