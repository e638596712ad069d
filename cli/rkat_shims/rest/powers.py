"""Config keys with which a writer gets more than a model's answers: they name programs, files or servers. No I/O.

Whoever sets a server's address is sent the keys; whoever names a prompt's file reads it through the model. A web door
is the likeliest one to be opened by somebody else, so such keys are set over it only when `--allow-programs` was given.
What is there already may stay: a client reads the config, changes something else, and writes it back with the
generation that it read.
"""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from meerkat_client.errors import RkatError

EACH: Final = "*"
POWERFUL: Final[tuple[tuple[str, ...], ...]] = (
    ("agent", "system_prompt_file"),
    ("providers", "base_urls", EACH),
    ("servers", EACH, "base_url"),
)

Tree = Mapping[str, Any]
Found = dict[str, Any]


def powerful(document: Tree) -> Found:
    """The powerful keys that a document sets, by their paths; null, which deletes in a patch, sets nothing."""
    return {
        ".".join(path): value for each in POWERFUL for path, value in _at(document, each, ()) if value not in (None, {})
    }


def _at(node: Any, wanted: tuple[str, ...], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not wanted:
        yield path, node
    elif not isinstance(node, Mapping):
        # The daemon says what is wrong with it.
        return
    elif wanted[0] == EACH:
        for name, inner in node.items():
            yield from _at(inner, wanted[1:], (*path, str(name)))
    elif wanted[0] in node:
        yield from _at(node[wanted[0]], wanted[1:], (*path, wanted[0]))


def in_params(params: Tree) -> Found:
    """The powerful keys of a `config/set` or `config/patch`."""
    if isinstance(toml := params.get("toml"), str):
        try:
            return powerful(tomllib.loads(toml))
        except tomllib.TOMLDecodeError:
            # The daemon says where.
            return {}
    document = params.get("config", params.get("patch"))
    return powerful(document) if isinstance(document, Mapping) else {}


def refuse_new(wanted: Found, current: Tree, *, expected: int | None, generation: int) -> None:
    """Refuse powerful keys that are not there already.

    Args:
        expected: the generation that the write demands, so that what is compared here is what will be replaced.
        generation: of `current`.

    Raises:
        RkatError: PERMISSION_DENIED.
    """
    there = powerful(current)
    new = [path for path, value in wanted.items() if path not in there or there[path] != value]
    if not new and expected == generation:
        return
    field = new[0] if new else next(iter(wanted))
    what = "cannot be set over HTTP" if new else "can stay as it is only in a write that names its generation"
    raise RkatError(
        "PERMISSION_DENIED",
        f"{field}: {what}: it names a program, a file or a server.",
        hint="Use `rkat config`, or start rkat-rest with --allow-programs."
        if new
        else "Send If-Match or expected_generation, or leave the key out with PATCH.",
        details={"field": field},
    )
