"""The client in TypeScript as a way to the daemon: what a test asks goes through its methods, and comes back as on the
wire.

`ts_driver.mjs` asks them, in one process of Node for all tests of a process of ours. Names are translated here by a
rule of our own and not by the client's tables, so that a name that the client left as on the wire is seen.
"""

import atexit
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import trio
from tests.support.typescript import built_client

Params = dict[str, Any]
_DRIVER = Path(__file__).with_name("ts_driver.mjs")
_SPELLED = {"backend": "realmBackend"}
# What is somebody's data, or blocks of content: their names are left as they are.
_TAKEN = {"config", "content", "inputSchema", "labels", "outputSchema", "patch", "prompt", "providerParams"}
_DATA = frozenset({*_TAKEN, "args", "arguments", "details", "schema", "structuredOutput"})


class TypeScriptDoor:
    """`surfaces.Door` over a client. It is connected by `initialize`."""

    def __init__(self, stream: trio.SocketStream, state_root: str) -> None:
        self._stream = stream
        self._state_root = state_root
        self._buffer = bytearray()

    async def send(self, message: Params) -> None:
        line = dict(message)
        if message.get("method") == "initialize":
            line["params"] = self._options(message["params"])
        elif "params" in message:
            line["params"] = _renamed(message["params"], _camel)
        await self._stream.send_all(json.dumps(line).encode() + b"\n")

    async def receive(self) -> Params:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            data = await self._stream.receive_some(1 << 20)
            if not data:
                raise trio.ClosedResourceError
            self._buffer += data
        message: Params = json.loads(self._buffer[:end])
        del self._buffer[: end + 1]
        return {name: _renamed(value, _snake) if name in _SAID else value for name, value in message.items()}

    def _options(self, params: Params) -> Params:
        """What `connect` takes; the client says itself what it is."""
        given = {_SPELLED.get(name, _camel(name)): value for name, value in params.items() if name != "client"}
        return {**given, "name": params.get("client", {}).get("name", "test"), "stateRoot": self._state_root}


_SAID = ("params", "result")


@asynccontextmanager
async def open_typescript_door(state_root: str) -> AsyncIterator[TypeScriptDoor]:
    """A client of the driver, closed with the block; its turns go on without it."""
    async with await trio.open_unix_socket(driver_socket()) as stream:
        yield TypeScriptDoor(stream, state_root)


@cache
def driver_socket() -> str:
    """Where the driver listens. The first call starts it, after the client was built: that may take a minute."""
    folder = tempfile.mkdtemp(prefix="md-ts-")
    path = f"{folder}/s"
    command = ["node", str(_DRIVER), str(built_client() / "dist" / "index.js"), path]
    # Nothing of the person who runs the tests: a client takes keys from its environment.
    env = {"PATH": _folder_of("node")}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd=folder)
    assert process.stdin is not None
    assert process.stdout is not None

    def end() -> None:
        process.communicate()
        shutil.rmtree(folder)

    atexit.register(end)
    assert process.stdout.readline() == b"READY\n"
    return path


def _folder_of(program: str) -> str:
    found = shutil.which(program)
    assert found is not None, f"{program} is not installed"
    return str(Path(found).parent)


def _renamed(value: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [_renamed(each, rename) for each in value]
    if not isinstance(value, dict):
        return value
    # An event from outside has a payload of its teller's; an event of the daemon's has one of the contract's.
    data = _DATA | {"payload"} if {"eventType", "event_type", "kind"} & set(value) or _is_bare(value) else _DATA
    return {
        rename(name): each if name in data or _camel(name) in data else _renamed(each, rename)
        for name, each in value.items()
    }


def _is_bare(value: Params) -> bool:
    return "payload" in value and "session_id" in value


def _camel(name: str) -> str:
    return re.sub("_([a-z])", lambda found: found[1].upper(), name)


def _snake(name: str) -> str:
    assert "_" not in name, f"the client left {name} as it is on the wire"
    return re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name)
