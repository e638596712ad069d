"""A config as it is given to a command: a file, stdin, or the text itself."""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from meerkat_client.errors import RkatError

# The daemon takes no more; a file beyond it is read no further.
MAX_BYTES = 128 * 1024


class Source(NamedTuple):
    """A config text and how to read it."""

    text: str
    is_json: bool

    def tree(self) -> dict[str, Any]:
        """Its values. Raises RkatError (INVALID_PARAMS) when it is not what it should be."""
        return _json(self.text) if self.is_json else _toml(self.text)


def read_source(given: str | None, toml: str | None) -> Source:
    """What the arguments say: exactly one of a positional SOURCE and `--toml`.

    SOURCE is JSON when it begins with a brace, stdin when it is `-`, and else a file, in JSON when it ends in .json or
    begins with a brace, in TOML otherwise.

    Raises:
        RkatError: INVALID_PARAMS.
    """
    if (given is None) == (toml is None):
        raise RkatError(
            "INVALID_PARAMS",
            "Give one config: a file, - for stdin, JSON in quotes, or --toml TEXT.",
            hint='For example: rkat config patch \'{"agent": {"model": "claude-sonnet-5"}}\'.',
        )
    if toml is not None:
        return Source(toml, is_json=False)
    assert given is not None
    if given.lstrip().startswith("{"):
        return Source(given, is_json=True)
    text = _read(given)
    return Source(text, is_json=given.endswith(".json") or (not given.endswith(".toml") and _is_json(text)))


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("{")


def _read(name: str) -> str:
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise RkatError("REQUEST_TOO_LARGE", f"The config is longer than {MAX_BYTES // 1024} KiB.")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise RkatError(
            "INVALID_PARAMS",
            f"The config {name!r} cannot be read: {(error.strerror or 'it failed').lower()}.",
            hint="Give a file, - for stdin, or JSON in quotes.",
            details={"path": name},
        ) from error
    except UnicodeDecodeError as error:
        raise RkatError("INVALID_PARAMS", f"The config {name!r} is not UTF-8 text (byte {error.start}).") from error


def _json(text: str) -> dict[str, Any]:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RkatError("INVALID_PARAMS", f"The config is not JSON: {error}.", hint="Mend it there.") from error
    if not isinstance(tree, dict):
        raise RkatError("INVALID_PARAMS", "The config is JSON, but no object.", hint="It begins with a brace.")
    return tree


def _toml(text: str) -> dict[str, Any]:
    import tomllib

    try:
        tree = tomllib.loads(text)
        # TOML has dates; the daemon's config has none, and JSON cannot carry them.
        json.dumps(tree, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise RkatError("INVALID_PARAMS", f"The config is not TOML: {error}.", hint="Mend it there.") from error
    except TypeError as error:
        raise RkatError("INVALID_PARAMS", "The config has a date, which no key of it takes.") from error
    return tree
