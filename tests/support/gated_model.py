"""A model's server for programs that run in other processes: it speaks OpenAI's chat completions and stops where told.

Each answer is a list of steps: text to stream, a `Gate` to wait at, a `ToolCall`, or an HTTP status to refuse with. It
runs in threads of the test's process, so a test knows that a turn is in the middle of its answer, and lets it go on
when it likes.
"""

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

# Nothing here takes long; whoever waits longer waits for ever.
PATIENCE_SECONDS = 30.0


class Gate:
    """A place in an answer at which the model waits."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def wait_until_reached(self) -> None:
        assert self._reached.wait(PATIENCE_SECONDS), "the model was never asked"

    def pass_through(self) -> None:
        self._reached.set()
        self._open.wait(PATIENCE_SECONDS)


class ToolCall(NamedTuple):
    """An answer's wish that a tool be called."""

    name: str
    arguments: dict[str, Any]
    call_id: str = "call_1"


Step = str | int | Gate | ToolCall


class GatedModel:
    """The server. A context manager; leaving it opens every gate.

    Attributes:
        requests: bodies of the requests that came, in order.
        keys: their Authorization headers.
    """

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self._answers: deque[tuple[Step, ...]] = deque()
        self._gates: list[Gate] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def answers(self, *steps: Step) -> None:
        """Append one answer; without any the model says "ok"."""
        self._answers.append(steps)
        self._gates.extend(step for step in steps if isinstance(step, Gate))

    def __enter__(self) -> "GatedModel":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for gate in self._gates:
            gate.open()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Silence: a test's output is for the test."""

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                model.requests.append(body)
                model.keys.append(self.headers["authorization"])
                steps = model._answers.popleft() if model._answers else ("ok",)
                try:
                    self._play(steps)
                except OSError:
                    self.close_connection = True

            def _play(self, steps: tuple[Step, ...]) -> None:
                if isinstance(steps[0], int):
                    self._refuse(steps[0])
                    return
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                texts, calls = 0, 0
                for step in steps:
                    if isinstance(step, Gate):
                        step.pass_through()
                    elif isinstance(step, ToolCall):
                        self._delta({"tool_calls": [_call_delta(step, calls)]})
                        calls += 1
                    else:
                        texts += 1
                        self._delta({"content": step})
                self._delta({}, finish_reason="tool_calls" if calls else "stop")
                self._chunk({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": texts}})
                self._write("[DONE]")
                self.wfile.write(b"0\r\n\r\n")

            def _refuse(self, status: int) -> None:
                body = json.dumps({"error": {"message": "the model refuses"}}).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _delta(self, delta: dict[str, Any], *, finish_reason: str | None = None) -> None:
                self._chunk({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

            def _chunk(self, value: Any) -> None:
                self._write(json.dumps(value))

            def _write(self, data: str) -> None:
                line = f"data: {data}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()

        return Handler


def _call_delta(call: ToolCall, index: int) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(call.arguments)}
    return {"index": index, "id": call.call_id, "type": "function", "function": function}
