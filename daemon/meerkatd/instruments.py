"""What is counted and timed while the daemon works: a leaf that every layer may write to.

Counting is always on, for it costs less than asking whether it is on: a number in memory, 0.3 µs each. Nothing is
told to anybody unless the user has asked for metrics or traces; `telemetry` does that. There are no labels by realm,
session or model: they would name what somebody works on, and grow without bound.

Spans are off until a tracer is set, and then cost what the tracer costs.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

Attributes = Mapping[str, str | int | float | bool]


class Counter:
    """A sum that only grows, for each combination of label values. Any thread may add to it."""

    def __init__(self, name: str, summary: str, *, labels: Sequence[str] = ()) -> None:
        self.name = name
        self.summary = summary
        self.labels = tuple(labels)
        self._values: dict[tuple[str, ...], float] = {}
        self._lock = threading.Lock()

    def add(self, *values: str, amount: float = 1) -> None:
        assert len(values) == len(self.labels), f"{self.name} has the labels {self.labels}"
        with self._lock:
            self._values[values] = self._values.get(values, 0) + amount

    def samples(self) -> Iterator[tuple[tuple[str, ...], float]]:
        """Label values and sum; one row without labels also when nothing was counted yet."""
        with self._lock:
            rows = list(self._values.items())
        return iter(rows or ([] if self.labels else [((), 0.0)]))


class Histogram:
    """How often a value lay below each bound. Any thread may add to it.

    Args:
        bounds: upper bounds of the buckets, ascending; the last bucket has none.
    """

    def __init__(self, name: str, summary: str, *, bounds: Sequence[float], label: str | None = None) -> None:
        self.name = name
        self.summary = summary
        self.bounds = tuple(bounds)
        self.label = label
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        self._lock = threading.Lock()

    def observe(self, value: float, *, label: str = "") -> None:
        place = bisect_left(self.bounds, value)
        with self._lock:
            counts = self._counts.get(label)
            if counts is None:
                counts = self._counts[label] = [0] * (len(self.bounds) + 1)
                self._sums[label] = 0.0
            counts[place] += 1
            self._sums[label] += value

    def samples(self) -> list[tuple[str, list[int], float]]:
        """Label value, counts of each bucket by itself, and the sum of all values."""
        with self._lock:
            rows = [(label, list(counts), self._sums[label]) for label, counts in self._counts.items()]
        if rows or self.label is not None:
            return rows
        return [("", [0] * (len(self.bounds) + 1), 0.0)]


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_QUICK = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)

TURNS = Counter("meerkat_turns", "Turns that ended, by outcome.", labels=("outcome",))
TURN_SECONDS = Histogram("meerkat_turn_seconds", "From a turn's admission to its commit.", bounds=_SECONDS)
BUSY = Counter("meerkat_busy_rejections", "Requests refused because a turn was running in their session.")
TOKENS = Counter("meerkat_tokens", "Tokens as providers counted them.", labels=("provider", "direction"))
PROVIDER_SECONDS = Histogram(
    "meerkat_provider_seconds", "One call of a model, to its end.", bounds=_SECONDS, label="provider"
)
PROVIDER_FIRST_SECONDS = Histogram(
    "meerkat_provider_first_output_seconds",
    "One call of a model, to its first output.",
    bounds=_SECONDS,
    label="provider",
)
PROVIDER_FAULTS = Counter(
    "meerkat_provider_faults", "Calls of a model that failed, by kind.", labels=("provider", "kind")
)
COMMIT_SECONDS = Histogram("meerkat_commit_seconds", "One commit of a realm's store.", bounds=_QUICK, label="backend")
GROUP_SIZE = Histogram(
    "meerkat_commit_group_size", "Writes that one commit stored.", bounds=(1, 2, 4, 8, 16, 32, 64), label="backend"
)
EVENT_LAG = Histogram(
    "meerkat_event_lag",
    "Events behind the newest, when one was handed to a reader.",
    bounds=(0, 1, 4, 16, 64, 256, 1024),
)
EVENTS_DROPPED = Counter("meerkat_events_dropped", "Events that a reader was told to have missed.")

COUNTERS = (TURNS, BUSY, TOKENS, PROVIDER_FAULTS, EVENTS_DROPPED)
HISTOGRAMS = (TURN_SECONDS, PROVIDER_SECONDS, PROVIDER_FIRST_SECONDS, COMMIT_SECONDS, GROUP_SIZE, EVENT_LAG)

StartSpan = Callable[[str, Attributes], AbstractContextManager[Any]]
_NO_SPAN = nullcontext()
_start_span: StartSpan | None = None


def span(name: str, **attributes: str | int | float | bool) -> AbstractContextManager[Any]:
    """The time in which something is done, for traces; a span inside of another one becomes its part."""
    return _NO_SPAN if _start_span is None else _start_span(name, attributes)


def set_tracer(start_span: StartSpan | None) -> None:
    """Turn traces on, or off again."""
    global _start_span
    _start_span = start_span
