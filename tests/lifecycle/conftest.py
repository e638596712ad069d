"""Fixtures of the process tests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lifecycle.daemon_machine import Machine, wait_for_end


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    base = Path(tempfile.mkdtemp(prefix="mk"))
    machine = Machine(base.resolve())
    for name, value in machine.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MEERKAT_STATE_ROOT", raising=False)
    yield machine
    for process in machine.daemons():
        process.kill()
        wait_for_end(process)
    shutil.rmtree(base)
