"""The export format: a whole realm in one file of JSON lines, for any backend. No I/O here.

    {"kind":"export","format":1,"realm_id":"team","backend":"sqlite","written_by":"0.1.0",...}   first
    {"kind":"config","text":"..."}                                                             if there is one
    {"kind":"blob","blob_id":"sha256:...","media_type":"image/png","data":"<base64>"}
    {"kind":"session","row":{...},"lineage":[["<session>",12]],"keys":[...]}
    {"kind":"turns","rows":[...]}   {"kind":"tools","rows":[...]}
    {"kind":"messages","session_id":"...","updated_ms":0,"messages":[{"role":"user","body":"<JSON>"}]}
    {"kind":"charges","rows":[...]}   {"kind":"approval","row":{...}}
    {"kind":"end","lines":42,"sha256":"...","digests":{"<session>":"..."}}                         last

Rows have the fields of the storage port. `sha256` is of every byte before the last line, and `digests` are those of
`digest.py`, so a file that was cut off or changed is told from a whole one, and what was made of it can be compared.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from ..ids import is_uuid
from .api import ApprovalRow, ChargeRow, KeyRow, NewMessage, SessionRow, ToolRow, TurnRow, UsageTotals
from .blobs import Blob
from .parts import ChargesPart, MessagesPart, Part, SessionPart, ToolsPart, TurnsPart

FORMAT = 1

Row = TypeVar("Row")


def line(kind: str, **values: Any) -> bytes:
    """One line of an export. Raises UnicodeEncodeError when a text has a lone surrogate."""
    return (json.dumps({"kind": kind, **values}, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def line_of(part: Part) -> bytes:
    match part:
        case Blob():
            data = b64encode(part.data).decode("ascii")
            return line("blob", blob_id=part.blob_id, media_type=part.media_type, data=data)
        case SessionPart():
            return line("session", **asdict(part))
        case TurnsPart():
            return line("turns", **asdict(part))
        case ToolsPart():
            return line("tools", **asdict(part))
        case MessagesPart():
            return line("messages", **asdict(part))
        case ChargesPart():
            return line("charges", **asdict(part))
        case ApprovalRow():
            return line("approval", row=asdict(part))


def part_of(said: Mapping[str, Any]) -> Part:
    """What a line says that is neither the first, the config, nor the last.

    Raises:
        ValueError: it is not a line of an export; KeyError, TypeError likewise.
    """
    match said["kind"]:
        case "blob":
            data = b64decode(said["data"], validate=True)
            return Blob(blob_id=said["blob_id"], media_type=said["media_type"], data=data)
        case "session":
            lineage = [(str(source), int(end)) for source, end in said["lineage"]]
            row = _row(SessionRow, said["row"])
            if not is_uuid(row.session_id):
                raise ValueError("a session has an id that no session has")
            return SessionPart(row=row, lineage=lineage, keys=[_row(KeyRow, key) for key in said["keys"]])
        case "turns":
            return TurnsPart(rows=[_row(TurnRow, row) for row in said["rows"]])
        case "tools":
            return ToolsPart(rows=[_row(ToolRow, row) for row in said["rows"]])
        case "messages":
            messages = [_row(NewMessage, each) for each in said["messages"]]
            return MessagesPart(session_id=said["session_id"], updated_ms=said["updated_ms"], messages=messages)
        case "charges":
            return ChargesPart(rows=[_row(ChargeRow, row) for row in said["rows"]])
        case "approval":
            return _row(ApprovalRow, said["row"])
        case other:
            raise ValueError(f"there is no line of the kind {other!r}")


def is_number(value: object) -> bool:
    """Whether it is an integer that every backend can keep."""
    return isinstance(value, int) and -(1 << 63) <= value < 1 << 63


def _row(kind: type[Row], said: Mapping[str, Any]) -> Row:
    given = dict(said)
    if "usage" in given:
        given["usage"] = UsageTotals(**given["usage"])
    made = kind(**given)
    for field in fields(made):  # type: ignore[arg-type]
        value = getattr(made, field.name)
        if not isinstance(value, str | int | dict | UsageTotals | None):
            raise TypeError(f"{field.name} has a value of another type")
        if isinstance(value, int) and not is_number(value):
            raise ValueError(f"{field.name} is greater than a number of a store can be")
    return made
