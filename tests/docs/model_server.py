"""A model for the pages: an HTTP server that speaks OpenAI's chat completions and answers what the pages show.

A prompt that it does not know is answered with 400, so that a page cannot show what nobody checks.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENDLESS = "..."
"""At the end of an answer: the model says no more, and does not end either."""

ANSWERS = {
    "Say hello": "Hello! How can I assist you today?",
    "And in French?": "Bonjour ! Comment puis-je vous aider ?",
    "What is a daemon?": "A program that runs in the background and serves others.",
    "And shorter?": "A background program.",
    "Tell me a long story about a lighthouse.": (
        f"Once upon a time there was a lighthouse at the end of the world{ENDLESS}"
    ),
    "And now in one sentence.": "A keeper kept the light on, and every ship came home.",
    "Suggest a name for a lighthouse.": "Farlight.",
    "Another one.": "Saltglow.",
    "Review this in one sentence.": "The change adds a greeting.",
    "How many blue widgets are in stock?": "There are 42 blue widgets in stock.",
    "Which book by Melville is about a whale?": '{"title": "Moby-Dick", "year": 1851}',
    "When did Moby-Dick appear?": '{"year": 1851}',
    "What do my notes say about milk?": "You are to buy milk on Friday.",
    "Write a shopping list.": "The list is in shopping.txt.",
    "How many lines has the shopping list?": "It has one line.",
    "Who are you?": "A small model on your own machine.",
}

TOOL_CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "How many blue widgets are in stock?": ("stock", {"item": "blue widget"}),
    "What do my notes say about milk?": ("read_file", {"path": "notes.txt"}),
    "Write a shopping list.": ("write_file", {"path": "shopping.txt", "content": "- milk\n"}),
    "How many lines has the shopping list?": ("shell", {"command": "wc -l <shopping.txt"}),
}
"""Prompts for which the model calls a tool first, when it is offered that one."""


class ModelServer:
    """Serves between `__enter__` and `__exit__`. `url` is its base URL, without `/v1`."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> "ModelServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = _last_prompt(request["messages"])
        summary = str(request["messages"][0]["content"]).startswith("You write the memory")
        answer = "They greeted each other." if summary else ANSWERS.get(prompt)
        if answer is None:
            self._refuse(f"The pages have no answer to {prompt!r}.")
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        if prompt in TOOL_CALLS and request["messages"][-1]["role"] != "tool" and _offered(request, prompt):
            self._call_tool(*TOOL_CALLS[prompt])
        else:
            self._say(answer)
        self.close_connection = True

    def _say(self, answer: str) -> None:
        endless = answer.endswith(ENDLESS)
        for number, word in enumerate(answer.removesuffix(ENDLESS).split(" ")):
            self._choice({"content": f" {word}" if number else word})
        if endless:
            # Until the other side closes.
            self.connection.recv(1)
            return
        self._end("stop", len(answer.split()))

    def _call_tool(self, name: str, arguments: dict[str, Any]) -> None:
        function = {"name": name, "arguments": json.dumps(arguments)}
        self._choice({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]})
        self._end("tool_calls", 5)

    def _choice(self, delta: dict[str, Any], finish: str | None = None) -> None:
        self._event({"id": "1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def _end(self, finish: str, tokens: int) -> None:
        self._choice({}, finish)
        usage = {"prompt_tokens": 12, "completion_tokens": tokens, "total_tokens": 12 + tokens}
        self._event({"id": "1", "choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, value: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())
        self.wfile.flush()

    def _refuse(self, message: str) -> None:
        body = json.dumps({"error": {"message": message}}).encode()
        self.send_response(400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Nothing: what went wrong shows in the page's output."""


def _offered(request: dict[str, Any], prompt: str) -> bool:
    return any(tool["function"]["name"] == TOOL_CALLS[prompt][0] for tool in request.get("tools", ()))


def _last_prompt(messages: list[dict[str, Any]]) -> str:
    """The last paragraph of what the user said: notices and what came in by a pipe stand in front of it."""
    content = next(message["content"] for message in reversed(messages) if message["role"] == "user")
    text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return text.rpartition("\n\n")[2].strip()
