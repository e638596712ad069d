"""One line of a log. No I/O here.

A line is a JSON object on its own, for `jq`, `grep` and `less`:

    {"n":7,"type":"message","seq":3,"role":"user","body":{...},"crc":"1c291ca3"}

* `n` numbers the lines of a file from 0 without a gap. A line that was copied, moved or taken out shows by it.
* `crc` is last: CRC-32 (the one of zlib) over every byte before `,"crc":`. A line counts only when its whole tail
  is what it must be, line feed included. Measured: a check of the eight digits alone took 5 of 3,705 torn files
  for whole ones.
* The last line of a transaction says `"commit":k`, the number of its lines, and `"synced":m`: the first m lines of
  the file were on the disk before this write began. So a line that is broken although a later one proves it to have
  been synced is damage, and one without such a proof is what a crash leaves of a write that nobody was told of.

The documents of the storage port are opaque text, but nearly always JSON. Such a text stands in the line as it is,
byte for byte, so that `jq .body.content` works; any other text goes into a string beside it (`"body_text"`).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple
from zlib import crc32

# Of `,"crc":"xxxxxxxx"}` and the line feed.
TAIL_BYTES = 19
# Fields whose values are documents of the port.
DOCUMENTS = frozenset({"meta", "prompt", "holder", "detail", "body", "arguments", "result", "decision"})
# A document nested deeper goes into a string: reading it back must not depend on how deep the stack is by then.
MAX_DEPTH = 100

_HEAD = re.compile(rb'\{"n":(\d+),"type":"([a-z_]+)"(?:,"commit":(\d+),"synced":(\d+))?(?:,"ordinal":(\d+))?')
_START = b'{"n":'
_END = re.compile(rb',"crc":"[0-9a-f]{8}"\}\n')
# A message may hold texts that look like lines of ours. Beyond so many they are not looked at.
_MOST_PARTS = 64
_BODY = b',"body":'
_DECODER = json.JSONDecoder()


class Record(NamedTuple):
    """What a line says. A document that is None is left out. `ordinal` comes first where there is one."""

    kind: str
    fields: Mapping[str, Any]


class Head(NamedTuple):
    """The beginning of a line. `commit` is 0 but in the last line of a transaction."""

    n: int
    kind: str
    commit: int
    synced: int
    ordinal: int


def seal(records: Sequence[Record], *, first: int, synced: int) -> list[bytes]:
    """The lines of one transaction, the first of which gets number `first`.

    Raises:
        UnicodeEncodeError: a text has a lone surrogate.
    """
    last = len(records) - 1
    lines = []
    for place, (kind, fields) in enumerate(records):
        commit = f',"commit":{last + 1},"synced":{synced}' if place == last else ""
        values = "".join(_members(fields))
        body = f'{{"n":{first + place},"type":"{kind}"{commit}{values}'.encode()
        lines.append(b'%b,"crc":"%08x"}\n' % (body, crc32(body)))
    return lines


def tail(crc: str) -> bytes:
    """The end of a line with that crc."""
    return b',"crc":"%b"}\n' % crc.encode()


def is_sealed(line: bytes) -> bool:
    # The same as `tail`, which costs twice as much; every line of a log passes here.
    return line[-TAIL_BYTES:] == b',"crc":"%08x"}\n' % crc32(line[:-TAIL_BYTES])


def crc_of(line: bytes) -> str:
    """The eight digits of a sealed line."""
    return line[-11:-3].decode()


def head(line: bytes) -> Head | None:
    """The beginning of a sealed line; None when it is not ours."""
    found = _HEAD.match(line)
    if found is None:
        return None
    n, kind, commit, synced, ordinal = found.groups()
    return Head(int(n), kind.decode(), int(commit or 0), int(synced or 0), int(ordinal or 0))


def sealed_parts(line: bytes) -> Iterator[Head]:
    """Whole lines at the end of what a lost line feed, or a write behind half a line, made one line of."""
    for found in islice(_HEAD.finditer(line), _MOST_PARTS):
        part = line[found.start() :]
        beginning = head(part)
        if beginning is not None and is_sealed(part):
            yield beginning


def looks_whole(line: bytes) -> bool:
    """Whether a line that is not sealed has a line's beginning and end, as one with a changed byte inside has."""
    return line.startswith(_START) and _END.fullmatch(line[-TAIL_BYTES:]) is not None


def message_start(n: int) -> bytes:
    """How line `n` begins when it is a message that does not end a transaction; they never do."""
    return b'{"n":%d,"type":"message","seq":' % n


def parse(line: bytes) -> dict[str, Any]:
    """The fields of a sealed line, documents as the texts that they were.

    Raises:
        ValueError, IndexError: it is not a line of ours although it is sealed.
    """
    text = line.decode()
    fields: dict[str, Any] = {}
    at = 0
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at + 1)
        value, end = _DECODER.raw_decode(text, at + 1)
        if name in DOCUMENTS:
            value = text[at + 1 : end]
        elif name.endswith("_text"):
            name = name.removesuffix("_text")
        fields[name] = value
        at = end
    return fields


def body_of(line: bytes) -> bytes:
    """The body of a message's line in UTF-8. Nothing is parsed, for pages are read more than anything else."""
    at = line.find(_BODY)
    if at < 0:
        text: str = parse(line)["body"]
        return text.encode()
    return line[at + len(_BODY) : -TAIL_BYTES]


def _members(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        if name not in DOCUMENTS:
            yield f',"{name}":{_dump(value)}'
        elif value is not None:
            yield f',"{name}":{value}' if _is_document(value) else f',"{name}_text":{_dump(value)}'


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _is_document(text: str) -> bool:
    if "\n" in text or text != text.strip():
        return False
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return text.count("[") + text.count("{") <= MAX_DEPTH or _depth(value) <= MAX_DEPTH


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [inner for outer in level if isinstance(outer, list | dict) for inner in _inside(outer)]:
        depth += 1
    return depth


def _inside(value: list[Any] | dict[str, Any]) -> Sequence[Any]:
    # An empty one counts as a level, too.
    return (list(value.values()) if isinstance(value, dict) else value) or [None]
