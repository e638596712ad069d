"""Which folder's sessions are meant: that of the project one stands in."""

import os

from meerkat_client.errors import RkatError

MARKER = ".rkat"


def find_workspace(start: str | None = None, *, home: str | None = None) -> str:
    """The nearest folder at or above `start` with a `.rkat` in it, else `start` itself; absolute.

    The home directory does not count, marker or not: below it is everything, and one realm for everything is none.

    Args:
        start: default the current directory.
        home: default HOME.

    Raises:
        RkatError: INVALID_PARAMS when the current directory does not exist any more.
    """
    try:
        first = os.path.abspath(start) if start is not None else os.getcwd()
    except OSError as error:
        raise RkatError(
            "INVALID_PARAMS",
            "The current directory does not exist any more, so it names no workspace.",
            hint="Change to another directory, or give --workspace or --realm.",
        ) from error
    never = os.path.realpath(home if home is not None else os.path.expanduser("~"))
    folder = first
    while True:
        if os.path.realpath(folder) != never and os.path.exists(os.path.join(folder, MARKER)):
            return folder
        above = os.path.dirname(folder)
        if above == folder:
            return first
        folder = above
