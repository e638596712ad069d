"""stdout, as programs and people read it."""

import json
import sys
from typing import Any

from .terminal import is_terminal, visible


def document(value: Any) -> None:
    """Write the one JSON document of a call with `--json`."""
    sys.stdout.write(rendered(value) + "\n")
    sys.stdout.flush()


def rendered(value: Any) -> str:
    """A value as JSON for stdout."""
    # On a terminal nothing but ASCII, so that no control character of C1 and no override gets there unescaped.
    plain = is_terminal(sys.stdout) or (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    return json.dumps(value, ensure_ascii=plain, indent=2)


def text(value: str) -> None:
    """Write somebody else's text: as it is into a pipe, made harmless on a terminal."""
    if is_terminal(sys.stdout):
        value = visible(value)
    sys.stdout.write(value)


def note(value: str) -> None:
    """Write a line of our own for people to stderr."""
    print(value, file=sys.stderr, flush=True)
