"""Traces by OpenTelemetry: a span for each turn, call of a model, and tool.

On when the environment names where they go, in the variables that every OpenTelemetry program reads
(`OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`). Spans carry ids, kinds and names of models and
tools, and never a prompt, an answer, an argument or a key. They are sent by a thread of the library.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from meerkat_client.wire.version import VERSION

from ..instruments import Attributes, set_tracer

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
# What is left is sent when the daemon ends; a collector that is gone must not hold it up.
_LAST_MILLISECONDS = 2000


def start_traces(environ: Mapping[str, str]) -> Callable[[], None] | None:
    """Send spans from now on, if `environ` says where; returns what ends that, None when nothing was begun.

    Raises:
        ImportError: the library is not installed.
    """
    if not any(environ.get(name) for name in ENDPOINTS):
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(
        resource=Resource.create({"service.name": "meerkatd", "service.version": VERSION}), shutdown_on_exit=False
    )
    processor = BatchSpanProcessor(OTLPSpanExporter())
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("meerkatd", VERSION)

    def start_span(name: str, attributes: Attributes) -> AbstractContextManager[Any]:
        # What went wrong is told by our own errors; the library would put their text, which may be a user's, into
        # the span.
        return tracer.start_as_current_span(
            name,
            attributes={f"meerkat.{key}": value for key, value in attributes.items()},
            record_exception=False,
            set_status_on_exception=False,
        )

    def end() -> None:
        set_tracer(None)
        processor.force_flush(_LAST_MILLISECONDS)
        provider.shutdown()

    set_tracer(start_span)
    return end
