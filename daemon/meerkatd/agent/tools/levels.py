"""How much the built-in tools may do, as a ladder: each level has what is below it, and more.

    none  ─►  safe: read, list and search files; the task list  ─►  workspace: write and patch files  ─►  full: a shell

What somebody added on purpose, such as a client's own tools, is not the ladder's affair.
"""

import os

from ...contract.tool import ToolLevel
from ..port import ProviderKind

LADDER: tuple[ToolLevel, ...] = ("none", "safe", "workspace", "full")


def reaches(level: ToolLevel, wanted: ToolLevel) -> bool:
    """Whether `level` has what belongs to `wanted`."""
    return LADDER.index(level) >= LADDER.index(wanted)


def level_of(
    *chosen: ToolLevel | None, workspace: str | None, kind: ProviderKind, most: ToolLevel = "full"
) -> ToolLevel:
    """The first level that was chosen; else `safe` where that is of use, and `none` elsewhere; `most` at most.

    Without a workspace there are no files to read. In the home directory or above it they are not one project's, and
    nobody said that a model may read them. A local model is small: the tools' descriptions alone would fill a good part
    of its context, and it answers worse with them.
    """
    for level in chosen:
        if level is not None:
            return level if reaches(most, level) else most
    return "safe" if workspace is not None and kind != "local" and not _holds_home(workspace) else "none"


def _holds_home(folder: str) -> bool:
    home = os.path.realpath(os.path.expanduser("~"))
    return os.path.commonpath([folder, home]) == folder
