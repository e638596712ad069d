"""Writes everything that is generated from the contract: client types, JSON Schema, reference pages, OpenAPI.

    python -m meerkatd.contract.emit           write the files
    python -m meerkatd.contract.emit --check   exit 1 when a file is not what would be written

The files are checked in; a test runs the check. Paths are below the root of a source checkout.
"""

import importlib
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from meerkat_client.wire.codes import TABLE

from . import emit_typescript
from .methods import METHODS, Method
from .shapes import GENERATED, NOTIFICATIONS, all_shapes, bare, fields_of, first_line, is_shape, members_of

_ROOT = Path(__file__).resolve().parents[3]


def _spell(hint: Any) -> str:
    """A hint as Python source."""
    hint = bare(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return f"Literal[{', '.join(json.dumps(value) for value in arguments)}]"
    if origin in (Union, types.UnionType):
        return " | ".join(_spell(argument) for argument in arguments)
    if origin is not None:
        return f"{origin.__name__}[{', '.join(_spell(argument) for argument in arguments)}]"
    if hint is type(None):
        return "None"
    return "Any" if hint is Any else str(hint.__name__)


def python_types() -> str:
    """`meerkat_client/types.py`."""
    lines = [
        '"""Shapes of the wire as typed dictionaries, for users of the client.',
        "",
        GENERATED,
        '"""',
        "",
        "from typing import Any, Literal, NotRequired, TypedDict",
    ]
    for shape in all_shapes():
        lines += ["", "", *_python_type(shape)]
    return "\n".join(lines) + "\n"


def _python_type(shape: type) -> list[str]:
    fields = fields_of(shape)
    if not all(name.isidentifier() and name not in ("class",) for name, *_ in fields):
        body = ", ".join(f"{json.dumps(name)}: {_spell(hint)}" for name, hint, *_ in fields)
        return [f'{shape.__name__} = TypedDict("{shape.__name__}", {{{body}}})']
    lines = [f"class {shape.__name__}(TypedDict):"]
    if first_line(shape):
        lines.append(f'    """{first_line(shape)}"""')
    if fields and first_line(shape):
        lines.append("")
    for name, hint, required, _ in fields:
        lines.append(f"    {name}: {_spell(hint) if required else f'NotRequired[{_spell(hint)}]'}")
    return lines if fields or first_line(shape) else [*lines, "    pass"]


def json_schema() -> str:
    """JSON Schema of all methods, errors and notifications."""
    document: dict[str, Any] = {
        "$comment": GENERATED,
        "methods": {
            method.name: {
                "summary": method.summary,
                "params": method.params.model_json_schema(),
                "result": TypeAdapter(method.result).json_schema(),
            }
            for method in METHODS
        },
        "notifications": {name: TypeAdapter(shape).json_schema() for name, shape, _ in NOTIFICATIONS},
        "errors": {code: row._asdict() for code, row in TABLE.items()},
    }
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _table(shape: type) -> list[str]:
    fields = fields_of(shape)
    if not fields:
        return ["No fields."]
    lines = ["| field | type | | |", "|---|---|---|---|"]
    for name, hint, required, field in fields:
        default = "required" if required else "optional"
        if field is not None and not required and field.default is not None:
            default = f"default `{json.dumps(field.default)}`"
        description = (field.description if field is not None else None) or _annotated_description(hint)
        lines.append(f"| `{name}` | `{_cell(_spell(hint))}` | {default} | {_cell(description)} |")
    return lines


def _annotated_description(hint: Any) -> str:
    for metadata in getattr(hint, "__metadata__", ()):
        if isinstance(metadata, FieldInfo) and metadata.description:
            return metadata.description
    return ""


def methods_page() -> str:
    """docs/reference/methods.md."""
    lines = ["# Methods", "", f"<!-- {GENERATED} -->", "", "Every request of the daemon's socket, by name.", ""]
    lines += ["| method | |", "|---|---|"]
    lines += [f"| [`{method.name}`](#{method.name.replace('/', '')}) | {method.summary} |" for method in METHODS]
    for method in METHODS:
        lines += ["", *_method(method)]
    lines += ["", "## Notifications", "", "Sent by the daemon, without an id and without a reply."]
    for name, shape, summary in NOTIFICATIONS:
        lines += ["", f"### {name}", "", summary, "", *_table(shape)]
    lines += ["", "## Shapes", "", "What the results above are made of."]
    for shape in all_shapes():
        if not issubclass(shape, BaseModel):
            lines += ["", f"### {shape.__name__}", "", first_line(shape), "", *_table(shape)]
    return "\n".join(lines) + "\n"


def _method(method: Method) -> list[str]:
    results = [member.__name__ for member in members_of(method.result) if is_shape(member)]
    links = " or ".join(f"[{name}](#{name.lower()})" for name in results)
    return [f"## {method.name}", "", method.summary, "", *_table(method.params), "", f"Result: {links}."]


def errors_page() -> str:
    """docs/reference/errors.md."""
    lines = [
        "# Errors",
        "",
        f"<!-- {GENERATED} -->",
        "",
        "One table for every surface. Programs test the code; numbers are for protocols that need one.",
        "",
        "| code | JSON-RPC | HTTP | exit | retry | whose turn | what happened | what to do |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in TABLE.values():
        retry = "yes" if row.retryable else "no"
        lines.append(
            f"| `{row.code}` | {row.rpc} | {row.http} | {row.exit} | {retry} | {row.fault} | "
            f"{_cell(row.summary)} | {_cell(row.hint)} |"
        )
    return "\n".join(lines) + "\n"


# Who else generates from the contract. By name, because the daemon imports none of its clients.
_ELSEWHERE = ("rkat_shims.rest.emit",)

FILES: dict[str, Callable[[], str]] = {
    "client/python/meerkat_client/types.py": python_types,
    **emit_typescript.FILES,
    "docs/reference/errors.md": errors_page,
    "docs/reference/methods.md": methods_page,
    "docs/reference/schema.json": json_schema,
}


def _all_files() -> dict[str, Callable[[], str]]:
    elsewhere = [importlib.import_module(name).FILES for name in _ELSEWHERE]
    return FILES | {name: make for files in elsewhere for name, make in files.items()}


def stale() -> list[str]:
    """Files that are not what would be written."""
    return [
        name
        for name, make in _all_files().items()
        if not (_ROOT / name).is_file() or (_ROOT / name).read_text(encoding="utf-8") != make()
    ]


def main() -> int:
    """Write the files, or check them; returns the exit status."""
    if "--check" in sys.argv[1:]:
        for name in stale():
            print(f"{name} is not up to date: run `python -m meerkatd.contract.emit`")
        return 1 if stale() else 0
    for name, make in _all_files().items():
        path = _ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), encoding="utf-8")
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
