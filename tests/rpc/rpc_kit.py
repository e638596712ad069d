"""`rkat-rpc` as programs have it: a real process on pipes, and a real daemon of the test's own that it starts itself.

What is read here is read as bytes up to a line's end and parsed by the standard library, so that nothing of ours judges
itself.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from meerkat_client._dial import daemon_record

# Nothing here takes long; whoever waits longer waits for ever.
PATIENCE_SECONDS = 60.0
# Nothing of the environment that the tests run in may decide anything.
_KEPT = ("PATH", "LANG", "PYTHONPATH")
# As an installer writes it for the entry point.
_SCRIPT = "#!{python}\nimport sys\nfrom rkat_shims.rpc.__main__ import main\nsys.exit(main())\n"


class Place:
    """A home, a state root and an environment, and an `rkat-rpc` to run in them.

    Attributes:
        env: the environment of what runs here.
        program: path of the `rkat-rpc`.
    """

    def __init__(self) -> None:
        # A short path: a socket's path has little more than a hundred bytes.
        self.root = Path(tempfile.mkdtemp(prefix="rk-"))
        self.program = self.root / "bin" / "rkat-rpc"
        for folder in ("home", "bin"):
            (self.root / folder).mkdir()
        self.program.write_text(_SCRIPT.format(python=sys.executable))
        self.program.chmod(0o755)
        self.env = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self.env |= {
            "HOME": str(self.root / "home"),
            "MEERKAT_STATE_ROOT": str(self.root / "state"),
            "MEERKAT_RUNTIME_DIR": str(self.root / "run"),
        }
        self._clients: list[Client] = []

    def use(self, model_url: str) -> None:
        """Let clients that start from now on use this model."""
        self.env |= {"OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "sk-of-the-test"}

    def client(self, *arguments: str, env: Mapping[str, str] | None = None) -> "Client":
        """Start an `rkat-rpc`."""
        started = Client([str(self.program), *arguments], env={**self.env, **(env or {})}, cwd=str(self.root))
        self._clients.append(started)
        return started

    @property
    def daemon_pid(self) -> int | None:
        record = daemon_record(self.env["MEERKAT_STATE_ROOT"])
        return None if record is None else record["pid"]

    def kill_daemon(self) -> None:
        """Kill the daemon, and wait until it is gone."""
        pid = self.daemon_pid
        if pid is None:
            return
        try:
            process = psutil.Process(pid)
            process.send_signal(signal.SIGKILL)
            process.wait(PATIENCE_SECONDS)
        except psutil.NoSuchProcess:
            return

    def end_clients(self) -> None:
        while self._clients:
            self._clients.pop().kill()

    def close(self) -> None:
        self.end_clients()
        self.kill_daemon()
        shutil.rmtree(self.root, ignore_errors=True)


class Client:
    """A running `rkat-rpc` and its three pipes. Lines that are not waited for are kept in `others`, in order."""

    def __init__(self, command: list[str], *, env: Mapping[str, str], cwd: str) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=cwd, bufsize=0
        )
        self.others: list[dict[str, Any]] = []
        self._buffer = b""
        self._last_id = 0
        self._said: bytes | None = None

    def write(self, data: bytes) -> None:
        """Write all of it, however long that takes."""
        assert self.process.stdin is not None
        view = memoryview(data)
        while view:
            _, ready, _ = select.select([], [self.process.stdin], [], PATIENCE_SECONDS)
            assert ready, "rkat-rpc stopped reading"
            view = view[os.write(self.process.stdin.fileno(), view[: select.PIPE_BUF]) :]

    def send(self, message: Any) -> None:
        self.write(json.dumps(message).encode() + b"\n")

    def begin(self, method: str, params: dict[str, Any] | None = None) -> int:
        """Send a request; its id."""
        self._last_id += 1
        self.send({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params or {}})
        return self._last_id

    def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Send a request and wait for its result; an assertion fails when it is an error."""
        reply = self.reply(self.begin(method, params))
        assert "result" in reply, reply
        return reply["result"]

    def error(self, method: str, params: dict[str, Any] | None = None) -> str:
        """Send a request and wait for its error; the code."""
        return code(self.reply(self.begin(method, params)))

    def reply(self, call_id: int | str | None) -> dict[str, Any]:
        """Wait for the reply to a request."""
        return self.wait_for(lambda line: "method" not in line and line.get("id") == call_id)

    def notification(self, method: str) -> dict[str, Any]:
        """Wait for a notification, or a request of the server's."""
        return self.wait_for(lambda line: line.get("method") == method)

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        for index, line in enumerate(self.others):
            if wanted(line):
                return self.others.pop(index)
        while True:
            line = self.line()
            if wanted(line):
                return line
            self.others.append(line)

    def line(self) -> dict[str, Any]:
        """The next line, whatever it is."""
        until = time.monotonic() + PATIENCE_SECONDS
        assert self.process.stdout is not None
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))
            assert ready, "rkat-rpc did not answer"
            data = os.read(self.process.stdout.fileno(), 1 << 20)
            assert data, f"rkat-rpc ended: {self.words()}"
            self._buffer += data
        head, _, self._buffer = self._buffer.partition(b"\n")
        line = json.loads(head)
        assert isinstance(line, dict)
        return line

    def end(self) -> tuple[bytes, int]:
        """Close stdin and wait for the end; what stdout still had, and the exit status."""
        rest, self._said = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self._buffer + rest, self.process.returncode

    def words(self) -> str:
        """What it said on stderr, once it has ended."""
        self.process.wait(PATIENCE_SECONDS)
        if self._said is None:
            assert self.process.stderr is not None
            self._said = self.process.stderr.read()
        return self._said.decode()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


def code(reply: dict[str, Any]) -> str:
    """The string code of an error reply."""
    found = reply["error"]["data"]["code"]
    assert isinstance(found, str)
    return found


def memory(pid: int) -> int:
    """Bytes of a process: proportional where the system tells it, resident otherwise."""
    found = psutil.Process(pid).memory_full_info()
    return int(getattr(found, "pss", found.rss))
