"""A real daemon for all tests of the client, and a model's server that stops where a test says."""

import os
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from tests.support.daemon_process import DaemonProcess, running_daemon
from tests.support.gated_model import GatedModel


class House:
    """The daemon and the model. Each test has a realm of its own."""

    def __init__(self, daemon: DaemonProcess, model: GatedModel) -> None:
        self.daemon = daemon
        self.model = model

    def options(self) -> dict[str, Any]:
        return {
            "state_root": self.daemon.state_root,
            "start": False,
            "name": "test",
            "realm_id": f"r-{uuid4().hex[:12]}",
            "credentials": {"openai": {"api_key": "sk-test", "base_url": self.model.url}},
        }


@pytest.fixture(scope="session")
def one_daemon() -> Iterator[DaemonProcess]:
    with running_daemon() as daemon:
        yield daemon


@pytest.fixture
def house(one_daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("MEERKAT_RUNTIME_DIR", one_daemon.runtime_dir)
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_BASE_URL")):
            monkeypatch.delenv(name)
    with GatedModel() as model:
        yield House(one_daemon, model)
