"""Real daemon processes, each with directories of its own, and every one of them ended with its test."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import psutil

from meerkat_client import _dial
from meerkat_client._sync import BlockingClient
from meerkat_client.wire.paths import Places, places

ECHO_DAEMON = str(Path(__file__).with_name("echo_daemon.py"))
COMMAND = (ECHO_DAEMON,)


class Machine:
    """A home with a state root and a runtime directory, and the daemons that were started for it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.state_root = str(base / "state")
        self.environ = {"HOME": str(base), "MEERKAT_RUNTIME_DIR": str(base / "run"), "PATH": os.environ["PATH"]}

    @property
    def places(self) -> Places:
        return places(self.state_root, environ=self.environ)

    def client(self, **options: object) -> BlockingClient:
        return BlockingClient.connect(name="test", state_root=self.state_root, _command=COMMAND, **options)  # type: ignore[arg-type]

    def dial(self, **options: object) -> socket.socket:
        return _dial.connect(state_root=self.state_root, _command=COMMAND, **options)  # type: ignore[arg-type]

    def daemons(self) -> list[psutil.Process]:
        """The living daemons of this machine."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            line = process.info["cmdline"] or []
            if self.state_root in line and "--state-root" in line and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def pid(self) -> int:
        return int(json.loads(Path(self.places.lock_path).read_text())["pid"])

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """Send a signal and wait for the process's end."""
        process = psutil.Process(pid)
        process.send_signal(number)
        wait_for_end(process)


def wait_for_end(process: psutil.Process, seconds: float = 15) -> None:
    """Wait for the end of a process that is nobody's child, or that of a parent who does not wait."""
    until = time.monotonic() + seconds
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until, f"{process} does not end"
        time.sleep(0.005)
