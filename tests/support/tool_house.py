"""A real daemon process, a model in this process that a test leads by the hand, and a workspace for both."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.daemon_process import DaemonProcess, running_daemon
from tests.support.gated_model import GatedModel

from meerkat_client import BlockingClient

PROGRAM = str(Path(__file__).with_name("mcp_server.py"))
REALM = "tools"
MODEL = "test/one"


def scripted(*behaviours: str, **more: Any) -> dict[str, Any]:
    """The config of a scripted MCP server."""
    return {"command": sys.executable, "args": [PROGRAM, *behaviours], **more}


class ToolHouse:
    """What a test of tools wants to reach."""

    def __init__(self, daemon: DaemonProcess, model: GatedModel, workspace: Path) -> None:
        self.daemon = daemon
        self.model = model
        self.workspace = workspace

    def client(self) -> BlockingClient:
        return self.daemon.client(realm_id=REALM)

    def configure(self, **sections: Any) -> None:
        """Write the realm's config: the model, and these sections."""
        config = {"servers": {"test": {"base_url": self.model.url}}, **sections}
        with self.client() as client:
            client.call("config/set", {"config": config})

    def create(self, client: BlockingClient, prompt: str = "go", **more: Any) -> Any:
        """Ask for a session with the workspace; its first turn runs meanwhile."""
        return client.begin(
            "session/create", {"prompt": prompt, "model": MODEL, "workspace": str(self.workspace), **more}
        )

    def created(self, client: BlockingClient, prompt: str = "go", **more: Any) -> dict[str, Any]:
        """The result of such a session's first turn."""
        result: dict[str, Any] = client.wait(self.create(client, prompt, **more), timeout=60)
        return result

    def ledger(self, client: BlockingClient, session: str = "last") -> list[tuple[str, str]]:
        """What each call of the session's last turn did: (name, fate)."""
        turn = client.call("turn/read", {"session_id": session})
        return [(call["name"], call["fate"]) for call in turn["tool_calls"]]


@contextmanager
def tool_house(workspace: Path, **config: Any) -> Iterator[ToolHouse]:
    """A house whose realm has this config. Nothing is left of it."""
    with GatedModel() as model, running_daemon() as daemon:
        house = ToolHouse(daemon, model, workspace)
        house.configure(**config)
        yield house
