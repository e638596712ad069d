"""Exports that somebody made with care: whole to every digest, and saying what no export says."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.behaviours.conftest import House
from tests.behaviours.promises import except_over
from tests.behaviours.test_backups import filled
from tests.behaviours.test_connections import refused

Said = list[dict[str, Any]]


def sealed(lines: list[bytes], last: dict[str, Any]) -> bytes:
    """The lines with an end that fits them."""
    whole = b"".join(lines)
    return (
        whole + json.dumps(last | {"sha256": hashlib.sha256(whole).hexdigest(), "lines": len(lines)}).encode() + b"\n"
    )


def outside(said: Said) -> None:
    """A session that is a file outside of the realm."""
    for each in said:
        if each["kind"] == "session":
            each["row"]["session_id"] = "../../../../outside"


def first(kind: str, **changed: Any) -> Callable[[Said], None]:
    def change(said: Said) -> None:
        each = next(each for each in said if each["kind"] == kind)
        each.get("row", each).update(changed)

    return change


def doubled(said: Said) -> None:
    at = next(place for place, each in enumerate(said) if each["kind"] == "session")
    said.insert(at, said[at])


def without_config_text(said: Said) -> None:
    said.insert(1, {"kind": "config"})


HOSTILE: dict[str, Callable[[Said], None]] = {
    "outside": outside,
    "doubled": doubled,
    "without_config_text": without_config_text,
    "huge_number": first("session", created_ms=1 << 80),
    "huge_count": first("session", event_seq=1 << 80),
    "broken_meta": first("session", meta="no json"),
    "labels": first("session", labels={"a": {"b": 1}}),
    "usage": first("session", usage={"input_tokens": "many"}),
    "text_for_number": first("session", created_ms="soon"),
    "turn_state": first("turns", rows=[{"turn_id": "t"}]),
    "no_messages": first("messages", messages=[{"role": "user", "body": "no json"}]),
    "huge_start": first("export", created_at=1 << 80),
    "digests": lambda said: None,
}


@pytest.mark.parametrize("backend", ["sqlite", "jsonl"])
@except_over(tcp="pages name no files", mcp="agents name no files", rest="files of this machine are not read over HTTP")
async def test_a_hostile_export_makes_nothing_and_is_told_as_the_files_fault(house: House, backend: str):
    root = Path(house.settings.state_root).parent
    file, other = root / "whole", root / "other"
    told: dict[str, str] = {}
    async with house.connect(realm_id="r", backend=backend) as peer:
        await filled(house, peer)
        await peer.call("realm/export", path=str(file))
        lines = file.read_bytes().splitlines(keepends=True)
        folders, names = house.realm_folders(), sorted(os.listdir(root))
        for name, change in HOSTILE.items():
            said = [json.loads(line) for line in lines]
            change(said)
            last = said.pop()
            if name == "digests":
                del last["digests"]
            other.write_bytes(sealed([json.dumps(each).encode() + b"\n" for each in said], last))
            told[name] = (await refused(peer.call("realm/import", path=str(other), realm_id=f"h-{name}"))).code
        # Deeper than a parser goes.
        deep = b'{"kind":"export","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}\n"
        other.write_bytes(deep)
        told["deep"] = (await refused(peer.call("realm/import", path=str(other), realm_id="deep"))).code
        other.unlink()
        assert set(told.values()) == {"INVALID_PARAMS"}, told
        assert (house.realm_folders(), sorted(os.listdir(root))) == (folders, names)
        assert os.listdir(Path(house.settings.state_root) / "incoming") == []
        assert not [*root.rglob("outside*")]
