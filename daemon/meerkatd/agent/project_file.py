"""The instructions that a project brings along: `AGENTS.md` in its folder.

Somebody else may have written it (a repository one has cloned, a pull request), and what it says goes into the system
prompt, beside tools that may write files. So it is read only where the user has said so: by the config of their own or
of the realm, which lies outside of the project, or with the request. What was read is kept with the session, so that a
session says the same from its first turn to its last, whatever happens to the file, and shows what it was given.
"""

import hashlib
import os
from typing import Any, NamedTuple

import trio

from ..errors import InvalidParams
from .tools.builtin.workspace import ToolRefusal, place

NAME = "AGENTS.md"
# Some 8,000 tokens, sent with each call of the model and kept in the session's document. Those that people write have
# a tenth of it.
MAX_BYTES = 32 * 1024


class ProjectInstructions(NamedTuple):
    """The file as it was read.

    Attributes:
        path: absolute.
        sha256: of its bytes, in hex.
        size: in bytes.
    """

    path: str
    sha256: str
    size: int
    text: str

    @classmethod
    def load(cls, document: Any) -> "ProjectInstructions | None":
        """From the session's document; None when there are none."""
        return None if document is None else cls(*document)


async def project_instructions(workspace: str | None) -> ProjectInstructions | None:
    """Read the file of a workspace; None when there is no workspace or no such file.

    Raises:
        InvalidParams: there is one that cannot be used: it leads out of the folder, is too long, or is no text.
    """
    if workspace is None:
        return None
    # In a thread: the folder may be on a file system that answers late or never.
    return await trio.to_thread.run_sync(_read, workspace, abandon_on_cancel=True)


def _read(workspace: str) -> ProjectInstructions | None:
    path = os.path.join(workspace, NAME)
    if not os.path.lexists(path):
        return None
    try:
        with place(workspace, NAME) as found, os.fdopen(found.open_file(), "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except ToolRefusal as refusal:
        raise _unusable(path, str(refusal)) from None
    except OSError as error:
        raise _unusable(path, f"{NAME} cannot be read: {(error.strerror or 'it failed').lower()}.") from error
    if len(data) > MAX_BYTES:
        raise _unusable(path, f"{NAME} is longer than {MAX_BYTES // 1024} KiB.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unusable(path, f"{NAME} is not UTF-8 text.") from None
    if "\0" in text:
        raise _unusable(path, f"{NAME} contains a NUL character.")
    return ProjectInstructions(path, hashlib.sha256(data).hexdigest(), len(data), text)


def _unusable(path: str, why: str) -> InvalidParams:
    return InvalidParams(
        f"The project's instructions cannot be used: {why}",
        details={"field": "project_instructions", "path": path},
        hint="Mend the file, or go on without it: --no-project-instructions, project_instructions: false.",
    )
