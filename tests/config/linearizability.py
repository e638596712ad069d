"""Is a history of concurrent requests what one request after the other could have given?

The search of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memo of Lowe ("Testing for
linearizability", 2017): take any operation that began before the first remaining one ended, if the model allows its
outcome; on a dead end take it back. A pair of (operations taken, state) that was seen once is not tried again.

One rule is added, without which 64 clients take for ever: an operation that is possible and changes nothing is taken
at once and never taken back. It is possible now, nobody can tell that it happened, and later it may not be possible.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any


@dataclass(frozen=True)
class Operation:
    """One request. `end` is infinite for one without an answer: it may have happened, at any time, or never."""

    call: float
    end: float
    asked: Any
    answered: Any = None


Step = Callable[[Any, Operation], Hashable | None]
"""The state after an operation, or None when it could not have been answered so in this state."""


def is_linearizable(history: Sequence[Operation], *, start: Hashable, step: Step) -> bool:
    """Whether some order that respects real time explains every answer."""
    operations = sorted(history, key=lambda each: each.call)
    needed = sum(1 << place for place, each in enumerate(operations) if each.end != inf)

    def possible(done: int) -> Iterator[int]:
        """Places of the operations that may come next: nothing else that is left ended before they began."""
        first_end = inf
        for place in range(_lowest_zero(done), len(operations)):
            if done >> place & 1:
                continue
            if operations[place].call > first_end:
                return
            first_end = min(first_end, operations[place].end)
            yield place

    stack: list[tuple[int, Any]] = [(0, start)]
    seen = set(stack)
    while stack:
        done, state = stack.pop()
        while unseen := [place for place in possible(done) if step(state, operations[place]) == state]:
            done |= sum(1 << place for place in unseen)
        if done & needed == needed:
            return True
        for place in possible(done):
            after = step(state, operations[place])
            node = (done | 1 << place, after)
            if after is not None and node not in seen:
                seen.add(node)
                stack.append(node)
    return False


def _lowest_zero(bits: int) -> int:
    return (~bits & (bits + 1)).bit_length() - 1


def config_step(state: tuple[int, Any], operation: Operation) -> tuple[int, Any] | None:
    """The config as a model: (generation, value). Asked: ("get",), or ("write", expected or None, value). Answered:
    ("is", generation, value), ("written", generation), ("conflict", current), or None when nobody knows."""
    generation, _ = state
    match operation.asked, operation.answered:
        case ("get",), ("is", found, value):
            return state if state == (found, value) else None
        case ("write", expected, value), ("written", made):
            return (made, value) if made == generation + 1 and expected in (None, generation) else None
        case ("write", expected, _), ("conflict", current):
            return state if expected != generation == current else None
        case ("write", expected, value), None:
            return (generation + 1, value) if expected in (None, generation) else None
        case ("get",), None:
            return state
    raise AssertionError(f"the model does not know {operation}")
