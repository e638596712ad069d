"""The folder that a client names as the workspace of its sessions."""

import os

from ..errors import InvalidParams


def workspace_of(path: str | None) -> str | None:
    """The folder, absolute and without links; None for None.

    Raises:
        InvalidParams: it is not absolute, or there is no such folder.
    """
    if path is None:
        return None
    if not os.path.isabs(path):
        raise InvalidParams("workspace: must be an absolute path.", details={"field": "workspace"})
    real = os.path.realpath(path)
    if not os.path.isdir(real):
        raise InvalidParams("workspace: there is no such folder.", details={"field": "workspace"})
    return real
