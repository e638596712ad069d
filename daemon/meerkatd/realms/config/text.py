"""The text of `config.toml`: read strictly, and changed without losing its author's comments.

Reading is the standard library's. Writing is tomlkit's, imported on the first write, for it costs 0.1 s. What tomlkit
made is read back, and written afresh without comments should it say something else than it was told to.

Measured: the standard library needs 80 s for one key of 60,000 dotted parts, for the time grows with the square of
their number. So a key of more than 200 parts is refused before anything reads the text.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from ...contract.config import MAX_CONFIG_BYTES
from .check import ConfigFault
from .secrets import SHOWN, redact, restore

_MAX_KEY_PARTS = 200
_PART = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_PART}[ \t]*+\.[ \t]*+){{{_MAX_KEY_PARTS}}}")
_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")


class NotToml(ConfigFault):
    """The text is not TOML. `line` and `column` count from 1, where they are known."""

    def __init__(self, what: str, *, line: int | None = None, column: int | None = None) -> None:
        super().__init__((), what)
        self.line = line
        self.column = column


def parse(text: str | bytes) -> dict[str, Any]:
    """The values in a TOML text. Raises NotToml."""
    if len(text if isinstance(text, bytes) else text.encode()) > MAX_CONFIG_BYTES:
        raise NotToml(f"is longer than {MAX_CONFIG_BYTES // 1024} KiB")
    if isinstance(text, bytes):
        text = _decoded(text)
    long_key = _LONG_KEY.search(text)
    if long_key is not None:
        line = text.count("\n", 0, long_key.start()) + 1
        raise NotToml(f"has a key of more than {_MAX_KEY_PARTS} parts", line=line)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The library's sentences name the construct, and quote at most one character of the text.
        said = str(error)
        place = _PLACE.search(said)
        what = f"is not TOML: {_PLACE.sub('', said)}"
        if place is None or place[1] is None:
            raise NotToml(what, line=text.count("\n") + 1) from None
        raise NotToml(what, line=int(place[1]), column=int(place[2])) from None
    except RecursionError:
        raise NotToml("is nested too deeply") from None
    except ValueError:
        # Python refuses integers of more than 4300 digits.
        raise NotToml("has a number that cannot be read") from None


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotToml("is not UTF-8 text", line=data.count(b"\n", 0, error.start) + 1) from None


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """The line, from 1, at which the key at `path` (or the nearest table above it) is set; None for the document.

    Looks at one line at a time, so a line of a longer text that looks like this very key is taken for it.
    """
    best, best_depth = None, 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            table = found = _keys(stripped.replace("[[", "[").replace("]]", "]"))
        elif "=" in stripped and not stripped.startswith("#"):
            found = (*table, *_keys(f"{stripped.split('=', 1)[0]} = 0"))
        else:
            continue
        depth = len(found)
        if best_depth < depth <= len(path) and path[:depth] == found:
            best, best_depth = number, depth
    return best


def _keys(line: str) -> tuple[str, ...]:
    """The dotted key of one line."""
    try:
        node: Any = tomllib.loads(line)
    except ValueError:
        return ()
    keys = []
    while isinstance(node, dict) and node:
        key = next(iter(node))
        keys.append(key)
        node = node[key]
    return tuple(keys)


def rewrite(text: str, wanted: Mapping[str, Any]) -> str:
    """`text` changed so that it says `wanted`. Comments and order of what stays are kept.

    Raises:
        ConfigFault: no text can say it, or none that is short enough.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        _sync(document, wanted)
        changed = tomlkit.dumps(document)
        if _says(changed, wanted):
            return changed
    except (TOMLKitError, NotToml, ValueError, TypeError, KeyError):
        # A construct that tomlkit cannot edit in place.
        pass
    changed = tomlkit.dumps(wanted)
    if len(changed.encode()) > MAX_CONFIG_BYTES:
        raise NotToml(f"is longer than {MAX_CONFIG_BYTES // 1024} KiB as a text")
    if not _says(changed, wanted):
        raise ConfigFault((), "has values that TOML cannot hold")
    return changed


def shown(text: str) -> str:
    """`text` with its secrets replaced by what stands for them. Raises NotToml."""
    if redact(parse(text)) == parse(text):
        return text
    import tomlkit

    def stand_in() -> Any:
        table = tomlkit.inline_table()
        table.update(SHOWN)
        return table

    return tomlkit.dumps(redact(tomlkit.parse(text), shown=stand_in))


def with_secrets(text: str, earlier: Mapping[str, Any]) -> str:
    """`text` with the secrets of `earlier` where it says to keep them.

    Raises:
        NotToml: it is no TOML.
        NoSecretToKeep: there is none.
    """
    plain = parse(text)
    whole = restore(parse(text), earlier)
    return text if whole == plain else rewrite(text, whole)


def _says(text: str, wanted: Mapping[str, Any]) -> bool:
    # As JSON, for 1, 1.0 and True are equal in Python and differ in a document.
    return json.dumps(parse(text), sort_keys=True) == json.dumps(wanted, sort_keys=True)


def _sync(table: Any, wanted: Mapping[str, Any]) -> None:
    """Change a table of tomlkit until it says `wanted`."""
    for key in [key for key in table if key not in wanted]:
        del table[key]
    for key, value in wanted.items():
        if key not in table:
            _append(table, key, value)
        elif isinstance(value, Mapping) and isinstance(table[key], Mapping):
            _sync(table[key], value)
        elif not _same(table[key], value):
            table[key] = value


def _append(table: Any, key: str, value: Any) -> None:
    """Add a key after the last one. tomlkit alone would add it after the comments that follow, which are most
    often about the next table."""
    from tomlkit.container import Container
    from tomlkit.items import Table

    body = table.body if isinstance(table, Container) else table.value.body if isinstance(table, Table) else []
    tail = []
    while not isinstance(value, Mapping) and body and body[-1][0] is None:
        tail.append(body.pop())
    table[key] = value
    body.extend(reversed(tail))


def _same(item: Any, value: Any) -> bool:
    plain = item.unwrap() if hasattr(item, "unwrap") else item
    try:
        return json.dumps(plain, sort_keys=True) == json.dumps(value, sort_keys=True)
    except TypeError:
        return False
