"""A process of its own that looks at one schema, or at one value against one schema. Not part of the daemon.

    stdin   {"schema": ..., "value": ...}        without `value` the schema itself is looked at
    stdout  {"problems": [{"path", "message"}], "more": 3}

Why a process: somebody else's schema may have a pattern that takes a regular expression years, references that double
with each step, or an array whose entries are all compared. None of that can be stopped in a thread, and a pattern holds
the whole interpreter meanwhile. A process is killed, has a bound on its memory, and costs a quarter of a second after
an answer that took seconds. So the daemon itself never loads the validator either.

Nothing is ever fetched: references have to stay in the schema, and the registry knows no other.
"""

import json
import re
import resource
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema.exceptions import SchemaError, best_match
from jsonschema.validators import validator_for
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

# A validator of a schema at the size limit takes some 50 MiB.
MAX_MEMORY_BYTES = 1024 * 1024 * 1024
# What a model can mend at once; the number of the others is told.
MAX_PROBLEMS = 20
# The message repeats the value that is wrong, which may be the whole answer.
MAX_MESSAGE_CHARS = 300

MAX_ALTERNATIVES = 4

# Keywords whose keys are names and not keywords, and those whose values are no schemas.
_OF_NAMES = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))
_OF_DATA = frozenset(("const", "enum", "default", "examples", "example", "required", "dependentRequired"))
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

Problem = tuple[str, str]


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    job = json.load(sys.stdin.buffer)
    found = list(problems_of(job["value"], job["schema"]) if "value" in job else schema_problems(job["schema"]))
    shown = [{"path": path, "message": clipped(message)} for path, message in found[:MAX_PROBLEMS]]
    json.dump({"problems": shown, "more": len(found) - len(shown)}, sys.stdout)


def clipped(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE_CHARS else f"{message[:MAX_MESSAGE_CHARS]}…"


def schema_problems(schema: dict[str, Any]) -> Iterator[Problem]:
    """What makes a schema unusable, with the path inside of it (empty: the schema itself)."""
    dialect = schema.get("$schema")
    if isinstance(dialect, str) and not _is_known(dialect):
        yield "$schema", "this version of JSON Schema is not known; leave it out for 2020-12"
        return
    kind = validator_for(schema)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        yield ".".join(map(str, error.absolute_path)), _said(error)
        return
    broken = list(_broken_parts(schema))
    yield from broken
    if not broken:
        try:
            list(kind(schema, registry=Registry()).iter_errors(None))
        except RecursionError:
            yield "", "a $ref leads back to itself, so no answer could ever be checked"


def _is_known(dialect: str) -> bool:
    unknown: Any = None
    return validator_for({"$schema": dialect}, default=unknown) is not None


def _broken_parts(schema: dict[str, Any]) -> Iterator[Problem]:
    """References that leave the schema or lead nowhere, and patterns that are none."""
    root = Registry().resolver_with_root(Resource.from_contents(schema, default_specification=DRAFT202012))
    for path, part in _parts(schema):
        if path and isinstance(part.get("$id"), str):
            yield ".".join((*path, "$id")), "only the whole schema may have an $id"
        for name in _REFERENCES:
            target = part.get(name)
            if not isinstance(target, str):
                continue
            where = ".".join((*path, name))
            if not target.startswith("#"):
                yield where, "must begin with #: a schema must not refer to anything outside of itself"
                continue
            try:
                root.lookup(target)
            except Unresolvable:
                yield where, f"{target} is not in the schema"
        yield from _broken_patterns(path, part)


def _broken_patterns(path: tuple[str, ...], part: Mapping[str, Any]) -> Iterator[Problem]:
    named = part.get("patternProperties")
    patterns: list[tuple[str, tuple[str, ...]]] = []
    if isinstance(named, dict):
        patterns.extend((pattern, ("patternProperties", pattern)) for pattern in named)
    if isinstance(part.get("pattern"), str):
        patterns.append((part["pattern"], ("pattern",)))
    for pattern, place in patterns:
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            yield ".".join((*path, *place)), f"is no regular expression: {error}"


def _parts(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every schema within a schema, itself first, with its path."""
    if isinstance(schema, list):
        for index, each in enumerate(schema):
            yield from _parts(each, (*path, str(index)))
    if not isinstance(schema, dict):
        return
    yield path, schema
    for keyword, value in schema.items():
        if keyword in _OF_NAMES and isinstance(value, dict):
            for name, inner in value.items():
                yield from _parts(inner, (*path, keyword, name))
        elif keyword not in _OF_DATA:
            yield from _parts(value, (*path, keyword))


def problems_of(value: Any, schema: dict[str, Any]) -> Iterator[Problem]:
    """Where a value does not fit a schema, with the path inside of the value (`$`: the value itself)."""
    validator = validator_for(schema)(schema, registry=Registry())
    try:
        for error in validator.iter_errors(value):
            # Of "none of these fits" the branch that came nearest says more.
            nearest = best_match(iter((error,)))
            yield nearest.json_path, _said(nearest)
    except RecursionError:
        yield "$", "it is nested too deep to be checked"


def _said(error: Any) -> str:
    """The message; of alternatives that all do not fit, what is wrong with each."""
    reasons = dict.fromkeys(each.message for each in error.context)
    if not reasons:
        return str(error.message)
    return f"fits none of the alternatives ({'; '.join(list(reasons)[:MAX_ALTERNATIVES])})"


if __name__ == "__main__":
    main()
