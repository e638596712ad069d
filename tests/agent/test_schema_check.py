"""Schemas of strangers: good ones work, bad ones are refused with the place, and none can hold up the daemon."""

from typing import Any

import pytest
import trio

from meerkatd.agent import schema_check
from meerkatd.agent.output_schema import MAX_SCHEMA_BYTES, OutputSchema
from meerkatd.agent.schema_check import NotChecked, check_schema, check_value
from meerkatd.errors import InvalidParams

TREE = {
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    "$ref": "#/$defs/node",
}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"type": "strin"}, "output_schema.type"),
    ({"properties": {"age": {"minimum": "x"}}}, "output_schema.properties.age.minimum"),
    ({"properties": {"a": {"$ref": "https://example.com/a.json"}}}, "output_schema.properties.a.$ref"),
    ({"items": [{"$dynamicRef": "file:///etc/passwd"}], "$schema": "http://json-schema.org/draft-07/schema#"}, ""),
    ({"$ref": "#/$defs/nowhere"}, "output_schema.$ref"),
    ({"allOf": [{"$ref": "#"}]}, "output_schema"),
    ({"$schema": "https://example.com/mine"}, "output_schema.$schema"),
    ({"patternProperties": {"(": {}}}, "output_schema.patternProperties"),
    ({"properties": {"a": {"$id": "https://example.com/a", "$ref": "#/b"}}}, "output_schema.properties.a.$id"),
    ({"schema": {"type": 5}, "name": "n"}, "output_schema.schema.type"),
    ({"schema": {}, "name": "a b"}, "output_schema.name"),
    ({"schema": {}, "strict": "yes"}, "output_schema.strict"),
    ({"schema": {}, "compat": "loose"}, "output_schema.compat"),
    ({"schema": {}, "format": "other"}, "output_schema.format"),
    ({"description": "x" * MAX_SCHEMA_BYTES}, "output_schema"),
]


@pytest.mark.parametrize(("schema", "field"), BAD, ids=[str(number) for number in range(len(BAD))])
async def test_a_schema_that_cannot_be_used_is_refused_with_the_place(schema: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidParams) as refused:
        await check_schema(schema)
    assert refused.value.details["field"].startswith(field or "output_schema.items.0.$dynamicRef")


async def test_good_schemas_pass_whatever_their_properties_are_called() -> None:
    # A property or a constant that looks like a keyword is none.
    await check_schema({"properties": {"$ref": {"type": "string"}}, "const": {"$ref": "http://x"}, "required": ["$id"]})
    await check_schema(TREE)
    await check_schema({"schema": TREE, "name": "tree", "strict": True, "compat": "strict", "format": "meerkat_v1"})


async def test_an_answer_that_does_not_fit_is_told_with_its_places() -> None:
    schema = {
        "type": "object",
        "required": ["name"],
        "properties": {"items": {"items": {"properties": {"age": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}}}},
    }
    findings = await check_value({"items": [{"age": 1}, {"age": "x"}]}, schema)
    assert [problem.path for problem in findings.problems] == ["$", "$.items[1].age"] or [
        problem.path for problem in findings.problems
    ] == ["$.items[1].age", "$"]
    assert (await check_value({"name": "n", "items": [{"age": None}]}, schema)).problems == ()


async def test_of_many_problems_the_first_are_told_and_the_others_counted() -> None:
    findings = await check_value(["x" * 1000] * 50, {"items": {"type": "integer"}})
    assert (len(findings.problems), findings.more) == (20, 30)
    assert all(len(problem.message) < 400 for problem in findings.problems)


async def test_a_pattern_that_takes_years_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A regular expression holds the interpreter that runs it, so it runs in another one, which is killed."""
    monkeypatch.setattr(schema_check, "LIMIT_SECONDS", 1.5)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await trio.sleep(0.05)
            ticks += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        with trio.fail_after(20), pytest.raises(NotChecked):
            await check_value("a" * 60 + "!", {"pattern": "^(a+)+$"})
        nursery.cancel_scope.cancel()
    assert ticks > 5, "the loop was not held up"


async def test_a_check_is_cancelled_at_once() -> None:
    with trio.fail_after(5), trio.move_on_after(0.4) as scope:
        await check_value("a" * 60 + "!", {"pattern": "^(a+)+$"})
    assert scope.cancelled_caught


def test_a_schema_with_a_property_called_schema_is_a_schema() -> None:
    given = {"type": "object", "schema": {"type": "string"}}
    assert OutputSchema.parse(given).schema == given
    assert OutputSchema.parse({"schema": {"type": "string"}}).schema == {"type": "string"}
