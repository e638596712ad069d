"""The CLI as people have it: real processes, a real daemon of the test's own, and a model that waits at gates."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.support.gated_model import GatedModel
from tests.support.terminal import PATIENCE_SECONDS, Terminal

from meerkat_client._dial import daemon_record

COMMAND = (sys.executable, "-m", "rkat")
# Nothing of the environment that the tests run in may decide anything.
_KEPT = ("PATH", "LANG", "PYTHONPATH")


class Shell:
    """A shell's worth of state: a state root, a current directory, an environment.

    Attributes:
        cwd: the current directory of what it runs.
        env: the environment of what it runs.
    """

    def __init__(self, root: Path, model: GatedModel) -> None:
        self.root = root
        self.cwd = root / "project"
        self.cwd.mkdir()
        (root / "home").mkdir()
        self.env = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self.env |= {
            "HOME": str(root / "home"),
            "MEERKAT_STATE_ROOT": str(root / "state"),
            "MEERKAT_RUNTIME_DIR": str(root / "run"),
            "MEERKAT_MODELS_DIR": str(root / "models"),
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_KEY": "sk-of-the-test",
        }
        self._terminals: list[Terminal] = []

    def run(self, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[str]:
        """Run to the end; stdout and stderr are pipes."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            cwd=self.cwd,
            env=self.env,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
        )

    def json(self, *arguments: str) -> Any:
        """Run with --json, and the document."""
        return json.loads(self.run("--json", *arguments).stdout)

    def terminal(self, *arguments: str, columns: int = 100) -> Terminal:
        """Run on a terminal."""
        started = Terminal([*COMMAND, *arguments], env=self.env, cwd=str(self.cwd), columns=columns)
        self._terminals.append(started)
        return started

    @property
    def daemon_pid(self) -> int | None:
        record = daemon_record(self.env["MEERKAT_STATE_ROOT"])
        return None if record is None else record["pid"]

    def close(self) -> None:
        for terminal in self._terminals:
            terminal.close()
        pid = self.daemon_pid
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def model() -> Iterator[GatedModel]:
    with GatedModel() as server:
        yield server


@pytest.fixture
def shell(model: GatedModel) -> Iterator[Shell]:
    # A short path: a socket's path has little more than a hundred bytes.
    root = Path(tempfile.mkdtemp(prefix="rk-"))
    made = Shell(root, model)
    yield made
    made.close()
    shutil.rmtree(root, ignore_errors=True)
