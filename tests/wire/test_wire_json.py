"""Strict JSON: the same values as in frames."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat_client.wire.faults import MalformedFrame, NotEncodable
from meerkat_client.wire.json_text import decode_json, encode_json
from meerkat_client.wire.limits import MAX_DEPTH

REFUSED = {
    "NaN": "NaN",
    "infinity": "[-Infinity]",
    "a number out of range": "1e999",
    "an integer out of range": "1" + "0" * 309,
    "a million digits": "9" * 1_000_000,
    "the same key twice": '{"a":1,"a":2}',
    "a lone surrogate": r'"\ud800"',
    "a lone surrogate as a key": r'{"\udfff":1}',
    "nesting": "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    "a bomb of nesting": '{"a":' * 100_000,
    "two values": "1 2",
    "nothing": "",
    "bytes that are not UTF-8": b'"\xff"',
    "a control character": '"\n"',
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_lenient_json_is_refused(text: str | bytes) -> None:
    """The standard library's decoder takes NaN, equal keys and lone surrogates."""
    with pytest.raises(MalformedFrame):
        decode_json(text)


@pytest.mark.parametrize(
    "text", ["[" * MAX_DEPTH + "]" * MAX_DEPTH, '"' + "[" * 100 + r"\"[[\\" + '"', r'"\ud83d\ude00"', "1" + "0" * 308]
)
def test_what_only_looks_like_an_attack_passes(text: str) -> None:
    decode_json(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    )
)
def test_what_is_written_can_be_read_again(value: Any) -> None:
    assert decode_json(encode_json(value)) == value
    assert "\n" not in encode_json(value)


@pytest.mark.parametrize("value", ["\ud800", float("nan"), {1, 2}, b"x"])
def test_what_json_does_not_have_is_not_written(value: Any) -> None:
    with pytest.raises(NotEncodable):
        encode_json(value)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_give_a_value_or_a_refusal(data: bytes) -> None:
    with contextlib.suppress(MalformedFrame):
        decode_json(data)
