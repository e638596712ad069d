"""Entity tags of the config, and the preconditions that name them (RFC 9110, 8.8.3 and 13). No I/O.

A tag is strong: it has the generation and a digest of the whole representation, so it changes when anything does that
GET shows. `If-Match` compares strongly, so a weak tag never matches there; `If-None-Match` compares weakly.

A write with `If-Match` becomes one with `expected_generation`, so that the daemon decides it as one step. What fails
through a header is 412, what fails through `expected_generation` in the body 409; the code is CONFIG_CONFLICT for both.
"""

import hashlib
import re
from typing import Final, NamedTuple

from meerkat_client.errors import RkatError

_DIGEST_CHARS: Final = 16
# One tag of a list, with the comma before it and the blanks around it.
_TAG = re.compile(r'[ \t,]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?=,|$)')
_OURS = re.compile(r"(\d{1,19})-[0-9a-f]{16}")
ANY: Final = "*"


class Tag(NamedTuple):
    """One entity tag."""

    opaque: str
    weak: bool = False

    def __str__(self) -> str:
        return f'{"W/" if self.weak else ""}"{self.opaque}"'

    @property
    def generation(self) -> int | None:
        """The generation in a tag of ours."""
        found = _OURS.fullmatch(self.opaque)
        return None if found is None or self.weak else int(found[1])


def tag_of(generation: int, body: bytes) -> Tag:
    """The tag of a representation."""
    return Tag(f"{generation}-{hashlib.sha256(body).hexdigest()[:_DIGEST_CHARS]}")


def parse(name: str, header: str) -> tuple[Tag, ...] | None:
    """The tags of a header; None for `*`, which stands for any.

    Raises:
        RkatError: INVALID_REQUEST.
    """
    if header.strip() == ANY:
        return None
    tags, place = [], 0
    header = header.rstrip(" \t,")
    while place < len(header):
        found = _TAG.match(header, place)
        if found is None:
            break
        tags.append(Tag(found[2], found[1] is not None))
        place = found.end()
    if place < len(header) or not tags:
        raise RkatError(
            "INVALID_REQUEST",
            f"{name} must be * or entity tags in quotation marks.",
            hint="Send the value of the header ETag as it came.",
            details={"header": name},
        )
    return tuple(tags)


def matches_strongly(tags: tuple[Tag, ...] | None, current: Tag) -> bool:
    """Whether `If-Match` holds."""
    return tags is None or any(not tag.weak and tag.opaque == current.opaque for tag in tags)


def matches_weakly(tags: tuple[Tag, ...] | None, current: Tag) -> bool:
    """Whether `If-None-Match` names the current one."""
    return tags is None or any(tag.opaque == current.opaque for tag in tags)


def replayable(tags: tuple[Tag, ...] | None, current: Tag) -> int | None:
    """The generation of a tag that is no longer current, for a repeated write whose key the daemon may know.

    The daemon then gives the first outcome or refuses; it cannot write, because a generation never comes back.
    """
    if tags is None or len(tags) != 1:
        return None
    named = tags[0].generation
    latest = current.generation
    return named if named is not None and latest is not None and named < latest else None
