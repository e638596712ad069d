"""Traces: spans go to where OpenTelemetry's own variables say, nested as the work was, and carry no text of anybody."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.support.daemon_process import running_daemon
from tests.support.gated_model import GatedModel


class Collector:
    """An OTLP collector on loopback; `bodies` is what it was sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Says nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def spans(self) -> list[Any]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def test_a_turn_and_its_call_of_the_model_are_spans_without_anybodys_text(collector: Collector) -> None:
    with GatedModel() as model:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_KEY": "sk-canary",
        }
        with running_daemon(**environ) as process:
            with process.client(realm_id="traced") as client:
                result = client.call("session/create", {"prompt": "a secret prompt"})
                client.call("daemon/stop", {"deadline_seconds": 0})
            process.wait()
    spans = {span.name: span for span in collector.spans()}
    assert spans["model call"].parent_span_id == spans["turn"].span_id
    attributes = {each.key: each.value.string_value for each in spans["turn"].attributes}
    assert attributes["meerkat.session_id"] == result["session_id"]
    sent = b"".join(collector.bodies)
    for secret in (b"secret prompt", b"sk-canary", result["text"].encode()):
        assert secret not in sent


def test_a_collector_that_is_gone_holds_nobody_up() -> None:
    with GatedModel() as model:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_KEY": "sk-canary",
        }
        with running_daemon(**environ) as process:
            with process.client(realm_id="traced") as client:
                assert client.call("session/create", {"prompt": "hello"})["text"]
                client.call("daemon/stop", {"deadline_seconds": 0})
            process.wait()
