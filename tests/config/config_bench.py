"""A config cell over a folder of the test's own."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

from meerkatd.realms.config.cell import ConfigCell, Written
from meerkatd.realms.config.files import ConfigFiles
from meerkatd.realms.config.write import from_patch, from_text, from_tree
from meerkatd.sessions.request import KeyedRequest


class Cell(ConfigCell):
    """The cell with its three writes in short. `folder` comes to be at the first one."""

    def __init__(self, folder: Path, *, files: Callable[[str], ConfigFiles] = ConfigFiles) -> None:
        self.folder = folder

        async def create() -> None:
            await trio.lowlevel.checkpoint()
            os.makedirs(folder, exist_ok=True)

        super().__init__("r", files=lambda: files(str(folder)) if folder.is_dir() else None, create=create)

    @property
    def path(self) -> Path:
        return self.folder / "config.toml"

    async def set(self, tree: dict[str, Any], **more: Any) -> Written:
        return await self.write(from_tree(tree), **{**DEFAULTS, "where": "config", "mend": True, **more})

    async def set_text(self, text: str, **more: Any) -> Written:
        return await self.write(from_text(text), **{**DEFAULTS, "where": "toml", "mend": True, **more})

    async def patch(self, patch: dict[str, Any], **more: Any) -> Written:
        return await self.write(from_patch(patch), **{**DEFAULTS, **more})

    def edit(self, text: str) -> None:
        """By hand, in place and as quickly as no person does it."""
        self.path.write_text(text)


DEFAULTS: dict[str, Any] = {"expected": None, "keyed": None, "where": "patch", "mend": False}


def keyed(key: str, digest: str = "d") -> KeyedRequest:
    return KeyedRequest(key=key, method="config/patch", digest=digest)


def model(name: str) -> dict[str, Any]:
    """A document or patch that says one thing."""
    return {"agent": {"model": name}}


class GatedFiles(ConfigFiles):
    """Files whose write waits in its thread until the test lets it go on."""

    def __init__(self, folder: str, *, begun: Callable[[], None], wait: Callable[[], None]) -> None:
        super().__init__(folder)
        self._begun = begun
        self._wait = wait

    def write(self, state: Any, data: bytes) -> None:
        self._begun()
        self._wait()
        super().write(state, data)


def is_private(path: Path) -> bool:
    return os.stat(path).st_mode & 0o777 == 0o600
