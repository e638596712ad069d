"""Secrets of a config: accepted, and never shown again.

What is shown in a secret's place is `{"secret": true, "set": true}`. The same object in a write keeps what is there,
so that a document which was read can be changed and written back.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

# Paths of all secrets; `*` is any name. A test compares them with the schema.
SECRETS: tuple[tuple[str, ...], ...] = (
    ("providers", "api_keys", "*"),
    ("servers", "*", "api_key"),
    ("mcp", "servers", "*", "env", "*"),
    ("mcp", "servers", "*", "headers", "*"),
)
SHOWN: Mapping[str, bool] = {"secret": True, "set": True}


class NoSecretToKeep(Exception):
    """A write wants to keep a secret that is not there. `path` is where."""

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(".".join(path))
        self.path = path


def redact(document: Any, *, shown: Callable[[], Any] = lambda: dict(SHOWN)) -> Any:
    """Replace each secret, in place, by what `shown` makes; returns the document, which may be one of tomlkit's."""
    for _, table, key in _secrets(document):
        if not is_shown(table[key]):
            table[key] = shown()
    return document


def without(document: Any) -> Any:
    """Take each secret away, in place; returns the document, which may be one of tomlkit's."""
    for _, table, key in list(_secrets(document)):
        del table[key]
    return document


def restore(document: Any, earlier: Mapping[str, Any]) -> Any:
    """Put the secrets of `earlier` where `document` says to keep them; in place, and returned.

    Raises:
        NoSecretToKeep: there is none.
    """
    known = {path: table[key] for path, table, key in _secrets(earlier)}
    for path, table, key in _secrets(document):
        if is_shown(table[key]):
            if path not in known:
                raise NoSecretToKeep(path)
            table[key] = known[path]
    return document


def is_shown(value: Any) -> bool:
    """Whether `value` is what stands for a secret."""
    return isinstance(value, Mapping) and dict(value) == SHOWN and all(each is True for each in value.values())


def _secrets(document: Any) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """Path, table and key of every secret that `document` has."""
    for pattern in SECRETS:
        yield from _matches(document, pattern, ())


def _matches(node: Any, pattern: tuple[str, ...], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    if not isinstance(node, Mapping):
        return
    head, rest = pattern[0], pattern[1:]
    names = list(node) if head == "*" else [head] if head in node else []
    for name in names:
        if rest:
            yield from _matches(node[name], rest, (*path, str(name)))
        else:
            yield (*path, str(name)), node, name
