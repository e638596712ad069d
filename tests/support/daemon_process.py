"""The real daemon as a process of its own, in a state root of the test's own; to be killed and started again."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from meerkat_client import BlockingClient

# Memory, where there is such a folder: what these tests look for does not need a disk, and fsync is free there.
_SHARED_MEMORY = "/dev/shm"
_WHERE = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None


class DaemonProcess:
    """A daemon of the state root `<root>/state`. The process is its own child, so it ends when the test says so.

    Attributes:
        state_root, socket_path: where it is.
        pid: of the running process.
    """

    def __init__(self, root: str, *, environ: Mapping[str, str]) -> None:
        self.state_root = f"{root}/state"
        self.runtime_dir = f"{root}/run"
        self.socket_path = f"{self.runtime_dir}/md.sock"
        self._environ = {**os.environ, **environ}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "it is not running"
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it can be connected to."""
        reading, writing = os.pipe()
        try:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "meerkatd", "--ready-fd", str(writing)),
                    *("--state-root", self.state_root, "--runtime-dir", self.runtime_dir),
                ],
                pass_fds=[writing],
                env=self._environ,
            )
            os.close(writing)
            word = os.read(reading, 64)
        finally:
            os.close(reading)
        assert word == b"READY\n", f"the daemon said {word!r}"

    def kill(self) -> None:
        """End it as a power cut would, and reap it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def wait(self) -> None:
        """Wait until it has ended by itself."""
        assert self._process is not None, "it is not running"
        assert self._process.wait(timeout=30) == 0
        self._process = None

    def client(self, **choice: Any) -> BlockingClient:
        """A blocking client of it."""
        os.environ["MEERKAT_RUNTIME_DIR"], kept = self.runtime_dir, os.environ.get("MEERKAT_RUNTIME_DIR")
        try:
            return BlockingClient.connect(**choice, name="test", state_root=self.state_root, start=False)
        finally:
            if kept is None:
                del os.environ["MEERKAT_RUNTIME_DIR"]
            else:
                os.environ["MEERKAT_RUNTIME_DIR"] = kept


@contextmanager
def running_daemon(**environ: str) -> Iterator[DaemonProcess]:
    """A running daemon, killed in the end."""
    # A short path: a socket's path has little more than a hundred bytes.
    root = tempfile.mkdtemp(prefix="md-", dir=_WHERE)
    daemon = DaemonProcess(root, environ=environ)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.kill()
        shutil.rmtree(root)
