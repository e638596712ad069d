"""The contract as TypeScript: types for people, and tables for the few lines of code that need them at run time.

Names are camelCase on that side. What is renamed is the fields of shapes and nothing else: the keys of a config, of a
tool's arguments or of labels are somebody's data. So the renaming goes by a table of which field holds which shape,
`NESTED`. A union of shapes is renamed by one merged entry, which works as long as its members agree; they are checked.
"""

import json
import re
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, Union, get_args, get_origin

from meerkat_client.wire import limits, version
from meerkat_client.wire.codes import TABLE
from meerkat_client.wire.credentials import API_KEYS, BASE_URLS

from . import event, message
from .methods import METHODS
from .shapes import GENERATED, NOTIFICATIONS, all_shapes, bare, fields_of, first_line, is_shape
from .tool import ToolExecute

# Unions with a name of their own.
_ALIASES: dict[str, Any] = {
    "AssistantBlock": message.AssistantBlock,
    "Content": message.Content,
    "EventPayload": event.EventPayload,
    "Message": message.Message,
}
_PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null", Any: "unknown"}
# What the client itself keeps to.
_VERSIONS = ("VERSION", "PROTOCOL_MIN", "PROTOCOL_MAX", "CONTRACT_VERSION")
_BLOCKS = frozenset(("TextContent", "ImageContent", "PromptText", "PromptImage"))
_NAMES = "Readonly<Record<string, string>>"
_NESTED = f"Readonly<Record<string, {_NAMES}>>"
_CALLS = "Readonly<Record<string, readonly [params: string, result: string]>>"
_VARIABLES = "Readonly<Record<string, readonly string[]>>"
_LIMITS = ("MAX_REQUEST_FRAME", "MAX_REPLY_FRAME", "MAX_DEPTH", "MAX_INTEGER_BYTES")


def _shapes() -> list[type]:
    return [*all_shapes(), ToolExecute]


def camel(name: str) -> str:
    """`session_id` as `sessionId`."""
    return re.sub("_([a-z])", lambda found: found[1].upper(), name)


def _alias(hint: Any) -> str | None:
    return next((name for name, union in _ALIASES.items() if union == hint), None)


def _spell(hint: Any, *, within: str | None = None) -> str:
    """A hint as TypeScript; `within` is the alias that is being defined."""
    hint = bare(hint)
    alias = _alias(hint)
    if alias is not None and alias != within:
        return alias
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " | ".join(json.dumps(value) for value in arguments)
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(_spell(argument) for argument in arguments))
    if origin is list:
        item = _spell(arguments[0])
        return f"Array<{item}>" if " " in item else f"{item}[]"
    if origin is dict:
        return f"Record<string, {_spell(arguments[1])}>"
    return _PLAIN[hint] if hint in _PLAIN else str(hint.__name__)


def types_module() -> str:
    """`client/typescript/src/types.ts`."""
    lines = ["/** Shapes of the wire, with their names in camelCase.", " *", f" * {GENERATED}", " */"]
    for shape in _shapes():
        lines += ["", *_interface(shape)]
    for name, union in _ALIASES.items():
        lines += ["", f"export type {name} =", *_lines_of_union(_spell(union, within=name))]
    lines += ["", "/** Params and result of each method. */", "export interface Methods {"]
    lines += [
        f'  "{each.name}": {{ params: {each.params.__name__}; result: {_spell(each.result)} }};' for each in METHODS
    ]
    lines += ["}", "", "/** What the daemon tells unasked. */", "export interface Notifications {"]
    lines += [f'  "{name}": {shape.__name__};' for name, shape, _ in NOTIFICATIONS]
    return "\n".join([*lines, "}"]) + "\n"


def _lines_of_union(text: str) -> list[str]:
    lines = [f"  | {member}" for member in text.split(" | ")]
    lines[-1] += ";"
    return lines


def _interface(shape: type) -> list[str]:
    lines = [f"/** {first_line(shape)} */"] if first_line(shape) else []
    fields = fields_of(shape)
    if not fields:
        return [*lines, f"export type {shape.__name__} = Record<string, never>;"]
    lines.append(f"export interface {shape.__name__} {{")
    for name, hint, required, field in fields:
        if field is not None and field.description:
            lines.append(f"  /** {field.description} */")
        lines.append(f"  {camel(name)}{'' if required else '?'}: {_spell(hint)};")
    return [*lines, "}"]


def _held(hint: Any) -> list[type]:
    """The shapes that a value is, or is a list or a record of; none when the value is left as it is."""
    shapes = list(_shapes_in(hint))
    # A text or its blocks: blocks are spelled as on the wire, in results as in params.
    return [] if all(shape.__name__ in _BLOCKS for shape in shapes) else shapes


def _shapes_in(hint: Any) -> Iterator[type]:
    hint = bare(hint)
    if is_shape(hint):
        yield hint
    elif get_origin(hint) is not Literal:
        for argument in get_args(hint):
            yield from _shapes_in(argument)


def _is_record(hint: Any) -> bool:
    hint = bare(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return any(_is_record(argument) for argument in get_args(hint))
    return get_origin(hint) is dict


def _joined(shapes: Iterable[type]) -> str:
    return "|".join(shape.__name__ for shape in shapes)


def _fields_held(shapes: list[type]) -> dict[str, tuple[bool, list[type]]]:
    """What the fields of a union hold: (whether a record of it, the shapes), by name, without those that hold none."""
    found: dict[str, tuple[bool, list[type]]] = {}
    for shape in shapes:
        for name, hint, *_ in fields_of(shape):
            assert re.sub("[A-Z]", lambda c: f"_{c[0].lower()}", camel(name)) == name, f"{name} does not come back"
            held = _held(hint)
            record, others = found.setdefault(name, (_is_record(hint), held))
            agree = record == _is_record(hint) and bool(others) == bool(held)
            assert agree or not (others or held), f"{_joined(shapes)} do not agree on {name}"
            found[name] = record, list(dict.fromkeys([*others, *held]))
    return {name: (record, held) for name, (record, held) in found.items() if held}


def nested() -> dict[str, dict[str, str]]:
    """For each shape, or union of shapes, what its fields hold; `{X}` is a record of X."""
    table: dict[str, dict[str, str]] = {}
    todo = [*([shape] for shape in _shapes()), *(_held(method.result) for method in METHODS)]
    while todo:
        shapes = todo.pop()
        if _joined(shapes) in table:
            continue
        held = _fields_held(shapes)
        todo += [inner for _, inner in held.values()]
        table[_joined(shapes)] = {
            name: f"{{{_joined(inner)}}}" if record else _joined(inner) for name, (record, inner) in held.items()
        }
    return {name: fields for name, fields in sorted(table.items()) if fields}


def tables_module() -> str:
    """`client/typescript/src/tables.ts`."""
    errors = {row.code: {"rpc": row.rpc, "retryable": row.retryable, "hint": row.hint} for row in TABLE.values()}
    calls = {each.name: [each.params.__name__, _joined(_held(each.result))] for each in METHODS}
    notifications = {name: shape.__name__ for name, shape, _ in NOTIFICATIONS}
    parts = [
        f"/** What the client needs to know of the contract at run time.\n *\n * {GENERATED}\n */",
        _constant("ERRORS", errors, "The one error table."),
        "export type ErrorCode = keyof typeof ERRORS;",
        _constant("NESTED", nested(), "Which fields of a shape hold which shapes; `{X}` is a record of X.", _NESTED),
        _constant("CALLS", calls, "The shapes of each method's params and result.", _CALLS),
        _constant("NOTIFICATIONS", notifications, "The shapes of notifications.", _NAMES),
        _constant("API_KEYS", API_KEYS, "Variables of providers' keys; the first that is set wins.", _VARIABLES),
        _constant("BASE_URLS", BASE_URLS, "Variables of providers' base URLs.", _VARIABLES),
        *(f"export const {name} = {getattr(limits, name)};" for name in _LIMITS),
        *(f"export const {name} = {json.dumps(getattr(version, name))};" for name in _VERSIONS),
    ]
    return "\n\n".join(parts) + "\n"


def _constant(name: str, rows: dict[str, Any], summary: str, kind: str | None = None) -> str:
    """A table; without `kind` it has the type of exactly its rows."""
    lines = [f"/** {summary} */", f"export const {name}{f': {kind}' if kind else ''} = {{"]
    lines += [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in rows.items()]
    return "\n".join([*lines, "};" if kind else "} as const;"])


FILES: dict[str, Callable[[], str]] = {
    "client/typescript/src/types.ts": types_module,
    "client/typescript/src/tables.ts": tables_module,
}
