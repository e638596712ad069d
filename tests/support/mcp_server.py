"""An MCP server for tests: a program of the standard library alone, so that it starts in milliseconds.

    mcp_server.py [BEHAVIOUR ...]

Each behaviour is a word: `hang` never answers, `crash` ends at once with a word on stderr, `noise` prints what is no
message, `child` has a child of its own in another session. `born=FILE` appends a line with its pid (and that of the
child) to a file or FIFO.
"""

import json
import os
import subprocess
import sys
import time
from typing import Any

OBJECT = {"type": "object"}
TOOLS = [
    {"name": "echo", "description": "Says it again.", "inputSchema": OBJECT},
    {"name": "whoami", "description": "The pid, a variable and the folder.", "inputSchema": OBJECT},
    {"name": "die", "description": "Ends in the middle.", "inputSchema": OBJECT},
    {"name": "hang", "description": "Never answers.", "inputSchema": OBJECT},
    {"name": "fail", "description": "An error of the protocol.", "inputSchema": OBJECT},
    {"name": "book", "description": "A long text.", "inputSchema": OBJECT},
    {"name": "grow", "description": "Offers one more tool from now on.", "inputSchema": OBJECT},
]


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(content: str, *, is_error: bool = False) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": content}], "isError": is_error}


def call(request: dict[str, Any]) -> None:
    name, arguments = request["params"]["name"], request["params"].get("arguments", {})
    match name:
        case "die":
            sys.stderr.write("I was told to die\n")
            sys.stderr.flush()
            os._exit(3)
        case "hang":
            return
        case "fail":
            say({"id": request["id"], "error": {"code": -32000, "message": "it cannot be done"}})
            return
        case "grow":
            TOOLS.append({"name": "grown", "description": "New.", "inputSchema": OBJECT})
            say({"method": "notifications/tools/list_changed"})
    results = {
        "echo": lambda: text(f"you said {arguments.get('text')}"),
        "whoami": lambda: text(f"{os.getpid()} {os.environ.get('WHO')} {os.getcwd()}"),
        "book": lambda: text("begin " + "x" * 1_000_000 + " end"),
    }
    say({"id": request["id"], "result": results.get(name, lambda: text("done"))()})


def answer(request: dict[str, Any]) -> None:
    match request.get("method"):
        case "initialize":
            capabilities = {"tools": {"listChanged": True}}
            info = {"name": "scripted", "version": "1"}
            version = request["params"]["protocolVersion"]
            result = {"protocolVersion": version, "capabilities": capabilities, "serverInfo": info}
            say({"id": request["id"], "result": result})
        case "tools/list":
            say({"id": request["id"], "result": {"tools": TOOLS}})
        case "tools/call":
            call(request)
        case "ping":
            say({"id": request["id"], "result": {}})


def main() -> None:
    words = sys.argv[1:]
    pids = [os.getpid()]
    if "child" in words:
        child = subprocess.Popen(["sleep", "1000"], start_new_session=True, stdin=subprocess.DEVNULL)
        pids.append(child.pid)
    for word in words:
        if word.startswith("born="):
            with open(word.removeprefix("born="), "a") as file:
                file.write(" ".join(map(str, pids)) + "\n")
    if "crash" in words:
        sys.exit(f"the key {os.environ.get('WHO')} is wrong")
    if "noise" in words:
        print("Starting up...\n\n{not json}")
    for line in sys.stdin:
        if "hang" not in words:
            answer(json.loads(line))
    if "stubborn" in words:
        time.sleep(1000)


if __name__ == "__main__":
    main()
