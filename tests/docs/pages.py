"""The pages of the documentation, and the fenced blocks, code spans and links in them. No I/O but reading the pages.

A fence's info string is a language, then `name=value` attributes and bare flags, such as `console terminal=2 running`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Written by generators, which have tests of their own.
GENERATED = frozenset(
    (
        "docs/reference/methods.md",
        "docs/reference/errors.md",
        "docs/reference/cli.md",
        "docs/reference/rest.md",
        "docs/reference/mcp.md",
    )
)

_FENCE = re.compile(r"^```([^`\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block. `line` is that of its fence, from 1."""

    page: str
    line: int
    language: str
    text: str
    flags: frozenset[str] = frozenset()
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class Page:
    """A page by its path from the root of the project."""

    name: str
    text: str

    @property
    def prose(self) -> str:
        """The page without its fenced blocks."""
        return _FENCE.sub("", self.text)

    def blocks(self) -> list[Block]:
        return [self._block(found) for found in _FENCE.finditer(self.text)]

    def spans(self) -> list[str]:
        """Every `code span`."""
        return _SPAN.findall(self.prose)

    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    def anchors(self) -> set[str]:
        """The anchors of its headings, as GitHub makes them."""
        return {anchor(heading) for heading in _HEADING.findall(self.prose)}

    def _block(self, found: re.Match[str]) -> Block:
        language, *rest = found[1].split() or [""]
        pairs = [word.partition("=") for word in rest]
        return Block(
            page=self.name,
            line=self.text.count("\n", 0, found.start()) + 1,
            language=language,
            text=found[2],
            flags=frozenset(name for name, equals, _ in pairs if not equals),
            attributes={name: value for name, equals, value in pairs if equals},
        )


def anchor(heading: str) -> str:
    """GitHub's anchor of a heading: lower-case, without punctuation, hyphens for spaces."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def all_pages() -> Iterator[Page]:
    """README, CHANGELOG and everything below `docs`."""
    for path in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))):
        yield Page(path.relative_to(ROOT).as_posix(), path.read_text())


PAGES = {page.name: page for page in all_pages()}
WRITTEN = {name: page for name, page in PAGES.items() if name not in GENERATED}
"""Those written by hand."""
