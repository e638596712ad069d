"""The instruments as Prometheus reads them. The library is imported when the door is opened, and not before."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from meerkat_client.wire.version import VERSION

from ..instruments import COUNTERS, HISTOGRAMS

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Names of what is read from the daemon when somebody asks, and what each is.
GAUGES: Mapping[str, str] = {
    "meerkat_connections": "Open connections.",
    "meerkat_open_realms": "Realms whose store is open.",
    "meerkat_active_turns": "Turns that run.",
    "meerkat_event_streams": "Readers of events.",
    "meerkat_memory_bytes": "Resident memory of the daemon.",
    "meerkat_open_files": "Open descriptors of the daemon.",
    "meerkat_uptime_seconds": "Since the daemon started.",
}

ReadGauges = Callable[[], Mapping[str, float]]


class Page:
    """Renders the page.

    Args:
        read_gauges: a value for each name of `GAUGES`.

    Raises:
        ImportError: the library is not installed.
    """

    def __init__(self, read_gauges: ReadGauges) -> None:
        from prometheus_client import CollectorRegistry

        self._read_gauges = read_gauges
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """The page, as of now."""
        from prometheus_client import generate_latest

        page: bytes = generate_latest(self._registry)
        return page

    def collect(self) -> "Iterator[Metric]":
        """What the library asks of a collector."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
            InfoMetricFamily,
        )

        yield InfoMetricFamily("meerkatd", "The daemon's version.", {"version": VERSION})
        for name, value in self._read_gauges().items():
            yield GaugeMetricFamily(name, GAUGES[name], value)
        for counter in COUNTERS:
            counted = CounterMetricFamily(counter.name, counter.summary, labels=counter.labels)
            for values, amount in counter.samples():
                counted.add_metric(list(values), amount)
            yield counted
        for histogram in HISTOGRAMS:
            labels = () if histogram.label is None else (histogram.label,)
            timed = HistogramMetricFamily(histogram.name, histogram.summary, labels=labels)
            for label, counts, total in histogram.samples():
                timed.add_metric([label] * len(labels), _buckets(histogram.bounds, counts), total)
            yield timed


def _buckets(bounds: tuple[float, ...], counts: list[int]) -> Any:
    """Prometheus counts what lies below each bound, those of the smaller bounds included."""
    rows, sum_so_far = [], 0
    for bound, count in zip((*map(str, map(float, bounds)), "+Inf"), counts, strict=True):
        sum_so_far += count
        rows.append((bound, sum_so_far))
    return rows
