"""Where a prompt comes from: the argument, stdin, or both."""

import os
import stat
import sys
from typing import Any, Literal

from meerkat_client.errors import RkatError
from meerkat_client.wire.limits import MAX_REQUEST_FRAME

_GIVE_ONE = 'Give one in quotes: rkat run "...".'

StdinUse = Literal["auto", "off"]


def read_prompt(given: str | None, *, stdin: StdinUse = "auto", source: Any = None) -> str:
    """The prompt that is meant.

    `-`, or no prompt and a pipe: all of stdin. A prompt and a pipe: what came in by the pipe as a `<stdin>` block, a
    blank line, the prompt. A stdin that is no pipe or file (a terminal, /dev/null, a socket) is left alone when there
    is a prompt, because it may never end.

    Args:
        source: a binary stream; default stdin.

    Raises:
        RkatError: INVALID_PARAMS without a prompt, REQUEST_TOO_LARGE.
    """
    stream = source if source is not None else getattr(sys.stdin, "buffer", None)
    if given == "-" or given is None:
        if stream is None or (given is None and (stdin == "off" or stream.isatty())):
            raise RkatError("INVALID_PARAMS", "There is no prompt.", hint=_GIVE_ONE)
        text = _read(stream).strip("\n")
        if not text.strip():
            raise RkatError("INVALID_PARAMS", "The prompt on stdin is empty.", hint=_GIVE_ONE)
        return text
    _check_argument(given)
    if stdin == "off" or stream is None or not _is_piped(stream):
        return given
    block = _read(stream).strip("\n")
    return f"<stdin>\n{block}\n</stdin>\n\n{given}" if block.strip() else given


def _check_argument(given: str) -> None:
    """Bytes of an argument that are no UTF-8 are in its text as lone surrogates, which nothing can store."""
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise RkatError(
            "INVALID_PARAMS",
            f"The prompt is not UTF-8 text (character {error.start}).",
            hint="Convert it first, as with `iconv`.",
            details={"field": "prompt"},
        ) from error


def _is_piped(stream: Any) -> bool:
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _read(stream: Any) -> str:
    data: bytes = stream.read(MAX_REQUEST_FRAME + 1)
    if len(data) > MAX_REQUEST_FRAME:
        raise RkatError(
            "REQUEST_TOO_LARGE",
            f"What came in on stdin is larger than {MAX_REQUEST_FRAME // 1024} KiB, the most that one prompt may have.",
            details={"limit": MAX_REQUEST_FRAME},
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RkatError(
            "INVALID_PARAMS",
            f"What came in on stdin is not UTF-8 text (byte {error.start}).",
            hint="Convert it first, as with `iconv`.",
            details={"field": "prompt", "byte": error.start},
        ) from error
