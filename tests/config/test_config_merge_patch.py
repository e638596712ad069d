"""RFC 7396: its own table of examples, and the laws that follow from its definition."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkatd.realms.config.merge_patch import merge_patch

# Appendix A of the RFC, in its order.
EXAMPLES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

keys = st.sampled_from("abcd")
leaves = st.one_of(st.booleans(), st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=2))


def trees(*, nulls: bool) -> st.SearchStrategy[dict[str, Any]]:
    leaf = st.one_of(leaves, st.none()) if nulls else leaves
    return st.dictionaries(
        keys, st.recursive(leaf, lambda each: st.dictionaries(keys, each, max_size=3), max_leaves=6), max_size=4
    )


@pytest.mark.parametrize(("target", "patch", "result"), EXAMPLES)
def test_the_examples_of_the_rfc_hold(target: Any, patch: Any, result: Any):
    assert merge_patch(target, patch) == result


@given(trees(nulls=False))
def test_an_empty_patch_changes_nothing(target: dict[str, Any]):
    assert merge_patch(target, {}) == target


@given(trees(nulls=False), trees(nulls=True))
def test_a_patch_applied_twice_is_a_patch_applied_once(target: dict[str, Any], patch: dict[str, Any]):
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(trees(nulls=False), trees(nulls=True))
def test_neither_argument_is_changed(target: dict[str, Any], patch: dict[str, Any]):
    before = deepcopy((target, patch))
    merge_patch(target, patch)
    assert (target, patch) == before


@given(trees(nulls=False), trees(nulls=False))
def test_any_document_can_be_reached_from_any_other(old: dict[str, Any], new: dict[str, Any]):
    assert merge_patch(old, difference(old, new)) == new


def difference(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The patch from one document without nulls to another."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        earlier = old.get(key)
        if isinstance(value, dict) and isinstance(earlier, dict):
            patch[key] = difference(earlier, value)
        else:
            patch[key] = value
    return patch


@given(trees(nulls=False), trees(nulls=True))
def test_no_null_of_a_patch_stays(target: dict[str, Any], patch: dict[str, Any]):
    def has_null(node: Any) -> bool:
        return node is None or (isinstance(node, dict) and any(has_null(each) for each in node.values()))

    assert not has_null(merge_patch(target, patch))
