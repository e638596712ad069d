"""A request's path, query, body and headers as the params of a method. No I/O.

How a query's text is read is what the contract's shape says about the field: a number, a truth value, or text. The
daemon checks everything again; here only what it could not see is refused, such as a name that stands there twice.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from meerkat_client.errors import RkatError
from meerkatd.contract.base import MAX_KEY_CHARS
from meerkatd.contract.methods import METHODS

from .routes import Route

JsonObject = dict[str, Any]

# No method has as many; each costs a comparison.
MAX_QUERY_FIELDS = 64
KEY_HEADER = "idempotency-key"
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_TRUTHS = {"true": True, "false": False}
_LABEL = "label"
# What the whole body of a webhook is.
PAYLOAD = "payload"


class Shape(NamedTuple):
    """What a route takes.

    Attributes:
        fields: of path, query or body, with the JSON Schema of each; those of the path included.
        required: those of `fields` that must be there.
        in_path: names in the path.
        definitions: schemas to which `fields` refer.
    """

    fields: Mapping[str, JsonObject]
    required: frozenset[str]
    in_path: tuple[str, ...]
    definitions: Mapping[str, JsonObject]

    @property
    def outside(self) -> dict[str, JsonObject]:
        """The fields that are not in the path."""
        return {name: schema for name, schema in self.fields.items() if name not in self.in_path}

    @property
    def in_query(self) -> dict[str, JsonObject]:
        """The fields that a query may have. A key is a header there: it is no part of what an address names."""
        return {name: schema for name, schema in self.outside.items() if name not in ("idempotency_key", PAYLOAD)}

    @property
    def takes_key(self) -> bool:
        return "idempotency_key" in self.fields


_SHAPES = {method.name: method.params for method in METHODS}
_SCOPED_SESSION = {"type": "string", "minLength": 1, "maxLength": 120}


@cache
def shape_of(route: Route) -> Shape:
    """What a route takes, from the contract's shape of its method."""
    schema = _SHAPES[route.method].model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.get("$defs", {})
    fields = {name: each for name, each in schema.get("properties", {}).items() if name not in route.hidden}
    required = frozenset(schema.get("required", ()))
    if route.scoped:
        cursor = definitions.get("CursorParams", {}).get("properties", {}).get("sequence")
        plain = {"session_id": _SCOPED_SESSION, "cursor": cursor, "limit": fields.get("limit")}
        fields = {name: each for name, each in plain.items() if each is not None and name in (*fields, "session_id")}
        required, definitions = frozenset(("session_id",)), {}
    return Shape(fields, required, tuple(re.findall(r"{(\w+)}", route.path)), definitions)


def kind_of(schema: Mapping[str, Any]) -> str:
    """The JSON type of a field, leaving null aside; "any" when there are several."""
    kinds = {each.get("type") for each in schema.get("anyOf", [schema])} - {"null"}
    return str(kinds.pop()) if len(kinds) == 1 and None not in kinds else "any"


def from_query(route: Route, query: bytes) -> JsonObject:
    """The params in a query.

    Raises:
        RkatError: INVALID_PARAMS.
    """
    fields = shape_of(route).in_query if route.uses_query else {}
    found: JsonObject = {}
    for name, text in _pairs(query):
        if name == _LABEL and "labels" in fields:
            key, equals, value = text.partition("=")
            if not equals or key in found.setdefault("labels", {}):
                raise _invalid(name, "must be NAME=VALUE, each name once")
            found["labels"][key] = value
        elif name not in fields or kind_of(fields[name]) == "object":
            raise _invalid(name, "is not known here")
        elif kind_of(fields[name]) == "array":
            found.setdefault(name, []).append(text)
        elif name in found:
            raise _invalid(name, "must be there only once")
        else:
            found[name] = _value(name, text, kind_of(fields[name]))
    return found


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(query),
            errors="strict",
            max_num_fields=MAX_QUERY_FIELDS,
        )
    except ValueError:
        raise RkatError("INVALID_PARAMS", "The query is not well-formed UTF-8 of name=value pairs.") from None


def _value(name: str, text: str, kind: str) -> Any:
    if kind == "integer":
        if not _INTEGER.fullmatch(text):
            raise _invalid(name, "must be an integer")
        return int(text)
    if kind == "number":
        try:
            value = float(text)
        except ValueError:
            raise _invalid(name, "must be a number") from None
        if value - value != 0:
            raise _invalid(name, "must be a finite number")
        return value
    if kind == "boolean":
        if text not in _TRUTHS:
            raise _invalid(name, "must be true or false")
        return _TRUTHS[text]
    return text


def gather(route: Route, *, path: Mapping[str, str], query: bytes, body: JsonObject, key: str | None) -> JsonObject:
    """All params of a request.

    Args:
        path: what stands for the names in the route's path.
        key: of the header `Idempotency-Key`.

    Raises:
        RkatError: INVALID_PARAMS.
    """
    shape = shape_of(route)
    params = {**body, **from_query(route, query)}
    _refuse_hidden(route, params)
    for name, value in path.items():
        if name in params and params[name] != value:
            raise _invalid(name, "says something else than the address")
        params[name] = value
    if key is not None:
        if not shape.takes_key:
            raise _invalid(KEY_HEADER, "has no meaning here: asking twice is safe, or the method takes no key")
        if not 0 < len(unquoted(key)) <= MAX_KEY_CHARS:
            raise _invalid("idempotency_key", f"must have 1 to {MAX_KEY_CHARS} characters")
        if params.setdefault("idempotency_key", unquoted(key)) != unquoted(key):
            raise _invalid("idempotency_key", "says something else than the header Idempotency-Key")
    return _scoped(params) if route.scoped else params


def _refuse_hidden(route: Route, params: JsonObject) -> None:
    for name in route.hidden:
        if name in params:
            raise _invalid(name, "has no meaning here: GET /sessions/{session_id}/events has the events")


def unquoted(key: str) -> str:
    """A key as it is meant: some clients send it as text, some in quotation marks, as a structured field."""
    return key[1:-1] if len(key) > 1 and key[0] == key[-1] == '"' else key


def _scoped(params: JsonObject) -> JsonObject:
    scope = {"type": "session", "session_id": params.pop("session_id")}
    if "cursor" in params:
        params["cursor"] = {"scope": scope, "sequence": params["cursor"]}
    return {"scope": scope, **params}


def _invalid(field: str, rule: str) -> RkatError:
    return RkatError("INVALID_PARAMS", f"{field}: {rule}.", details={"field": field})
