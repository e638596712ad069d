"""`rkat-rest` as people have it: a process of its own, in a home of the test's, with the daemon that it starts."""

import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.rpc.rpc_kit import PATIENCE_SECONDS, Place


class RestProcess:
    """A running `rkat-rest`.

    Attributes:
        url: that it printed.
        said: what it printed on stderr before that.
    """

    def __init__(self, place: Place, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rkat_shims.rest", *arguments],
            env={**place.env, **(env or {})},
            cwd=place.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.url = self._line(self.process.stdout.fileno())
        assert self.process.stderr is not None
        self.said = os.read(self.process.stderr.fileno(), 1 << 16).decode() if self.url else ""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def header_path(self) -> str:
        return next(word[1:] for word in self.said.split() if word.startswith("@"))

    @property
    def authorization(self) -> str:
        with open(self.header_path) as file:
            return file.read().partition(": ")[2].strip()

    def ask(self, verb: str, target: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of a request."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": self.authorization, "content-type": "application/json"}
        request = urllib.request.Request(self.url + target, data, headers, method=verb)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal and wait; the exit status, and what else it said on stderr."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        _, rest = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, rest.decode()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def _line(self, descriptor: int) -> str:
        """The first line of a pipe; empty when it ends before that."""
        line, until = b"", time.monotonic() + PATIENCE_SECONDS
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
            assert ready, "rkat-rest did not start"
            data = os.read(descriptor, 4096)
            if not data:
                break
            line += data
        return line.decode().strip()


@contextmanager
def rest_process(place: Place, *arguments: str, env: dict[str, str] | None = None) -> Iterator[RestProcess]:
    """A running `rkat-rest` on any free port, killed in the end."""
    started = RestProcess(place, "--port", "0", *arguments, env=env)
    try:
        assert started.url, started.wait()
        yield started
    finally:
        started.kill()
