"""Console blocks: what they say was typed, and whether what came out is what they show. No I/O.

    $ command            typed at the prompt
    ^C                   Ctrl-C, into the command that runs
    output               must come out so; `...` stands for anything, alone on its line also for any number of lines

What differs from run to run in a way that has a shape (ids, times, sizes) is made equal on both sides, so that pages
can show real output.
"""

import re
from dataclasses import dataclass

PROMPT = "$ "
CTRL_C = "^C"

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
_SHAPES: tuple[tuple[str, str], ...] = (
    (r"[ \t]+", " "),
    (_UUID, "<uuid>"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4,5}\b", "<id>"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}…", "<id>"),
    (r"\b([a-z0-9_-]+)-[0-9a-f]{8}\b(?=$|[\s/\"])", r"\1-<digest>"),
    (r"\bws-[0-9a-f]{16}\b", "ws-<hash>"),
    (r"\br-[a-z2-7]{16}\b", "r-<hash>"),
    (r"\b(20\d\d-)?\d\d-\d\d \d\d:\d\d:\d\d\b", "<time>"),
    (r"\b\d{10}(\d{3})?\b", "<stamp>"),
    (r"\b\d+(\.\d+)? (ms|s|min|h)\b", "<span>"),
    (r"\b\d+(\.\d+)? MB\b", "<n> MB"),
    (r"\bpid([ =])\d+", r"pid\1<n>"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing typed, and the lines that follow it on the page.

    Attributes:
        typed: a command, CTRL_C, or None for more output of the command that runs.
    """

    typed: str | None
    output: str


def steps(text: str) -> list[Step]:
    """The steps of a console block; a command may go on over lines that begin with `> `."""
    found: list[tuple[str | None, list[str]]] = []
    for line in text.splitlines():
        if line.startswith(PROMPT):
            found.append((line.removeprefix(PROMPT), []))
        elif line == CTRL_C:
            found.append((CTRL_C, []))
        elif line.startswith("> ") and found and found[-1][0] is not None and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line.removeprefix('> ')}", [])
        else:
            if not found:
                found.append((None, []))
            found[-1][1].append(line)
    return [Step(typed, "\n".join(lines)) for typed, lines in found]


def same(text: str) -> str:
    """`text` with what differs from run to run made equal."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").strip("\n").split("\n")]
    for pattern, replacement in _SHAPES:
        lines = [re.sub(pattern, replacement, line) for line in lines]
    return "\n".join(line.rstrip() for line in lines)


def matches(expected: str, actual: str) -> bool:
    """Whether `actual` came out as the page shows it."""
    pattern = []
    for line in same(expected).split("\n"):
        if line.strip() == "...":
            pattern.append(r"(?:.*\n)*?")
        else:
            pattern.append(".*".join(re.escape(part) for part in line.split("...")) + "\n")
    return re.fullmatch("".join(pattern), same(actual) + "\n") is not None
