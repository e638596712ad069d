"""Two configs side by side, key by key. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def flat(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Dotted key and value of each leaf. What stands for a secret is a leaf, and so is an empty table."""
    for key, value in tree.items():
        here = (*path, key if key.replace("-", "").replace("_", "").isalnum() else json.dumps(key))
        if isinstance(value, dict) and value and "secret" not in value:
            yield from flat(value, here)
        else:
            yield ".".join(here), value


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each key that differs, sorted: `{key, old?, new?}`; a side that lacks the key is left out."""
    before, after = dict(flat(old)), dict(flat(new))
    rows = []
    for key in sorted({*before, *after}):
        if _spelled(before.get(key)) == _spelled(after.get(key)) and (key in before) == (key in after):
            continue
        row: dict[str, Any] = {"key": key}
        if key in before:
            row["old"] = before[key]
        if key in after:
            row["new"] = after[key]
        rows.append(row)
    return rows


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """The differences for people: `- key = old` and `+ key = new`."""
    shown = []
    for row in rows:
        shown += [f"- {row['key']} = {_spelled(row['old'])}"] if "old" in row else []
        shown += [f"+ {row['key']} = {_spelled(row['new'])}"] if "new" in row else []
    return shown


def _spelled(value: Any) -> str:
    if isinstance(value, dict) and value.get("secret") is True:
        return "(secret)"
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
