"""Lines: any text comes back as it was, and only a whole line is one."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkatd.store.jsonl import record
from meerkatd.store.jsonl.record import MAX_DEPTH, Record, body_of, head, is_sealed, parse, seal

TEXTS = st.text() | st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
).map(json.dumps)

ODD = [
    "",
    " ",
    "{} ",
    "\n{}",
    "NaN",
    '{"a":Infinity}',
    "1e999",
    '{"a":1,"a":2}',
    '"\\ud800"',
    "9" * 5000,
    "\ufeff{}",
    '{"a" :\t[ 1 , 2 ]}',
    "\u2028",
    '"\u2028\u0085"',
    "[" * 5000,
    "[" * MAX_DEPTH + "]" * MAX_DEPTH,
    "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    '","body":"',
    ',"crc":"00000000"}',
]


def line_of(kind: str = "message", **fields: object) -> bytes:
    (line,) = seal([Record(kind, fields)], first=3, synced=3)
    return line


@given(TEXTS.filter(lambda text: text < "\ud800" or not any("\ud800" <= c <= "\udfff" for c in text)), st.text())
def test_document_comes_back_byte_for_byte(text: str, other: str) -> None:
    _check_document(text, other)


@pytest.mark.parametrize("text", ODD)
def test_odd_document_comes_back_byte_for_byte(text: str) -> None:
    _check_document(text, text)


def _check_document(text: str, role: str) -> None:
    line = line_of(seq=0, role=role, body=text)
    assert line.count(b"\n") == 1
    assert is_sealed(line)
    assert body_of(line).decode() == text
    fields = parse(line)
    assert (fields["role"], fields["body"]) == (role, text)
    assert b"\0" not in line
    json.loads(line, parse_constant=pytest.fail)


def test_document_that_is_none_is_left_out() -> None:
    assert "detail" not in parse(line_of("turn", ordinal=1, detail=None, prompt="p"))


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1])
def test_deep_documents_are_strings_lest_reading_them_depends_on_the_stack(depth: int) -> None:
    line = line_of(body="[" * depth + "]" * depth)
    assert (b"body_text" in line) == (depth > MAX_DEPTH)


def test_head_is_read_without_the_rest() -> None:
    lines = seal([Record("turn", {"ordinal": 5, "prompt": "p"}), Record("key", {"key": "k"})], first=7, synced=4)
    assert [head(line) for line in lines] == [(7, "turn", 0, 0, 5), (8, "key", 2, 4, 0)]


def test_message_is_known_by_how_it_begins() -> None:
    message = Record("message", {"seq": 12, "role": "user", "body": "{}"})
    line, _ = seal([message, Record("turn_end", {"ordinal": 0})], first=20, synced=20)
    assert line.startswith(record.message_start(20))
    assert not line.startswith(record.message_start(2))


def test_changed_byte_anywhere_breaks_the_seal() -> None:
    """A check of the eight digits alone takes lines for whole whose closing bytes are not there."""
    line = line_of(seq=1, role="user", body='{"content":"hello"}')
    for position in range(len(line)):
        for bit in range(8):
            spoilt = bytearray(line)
            spoilt[position] ^= 1 << bit
            assert not is_sealed(bytes(spoilt))
    for end in range(len(line)):
        assert not is_sealed(line[:end])


def test_noise_is_no_line() -> None:
    dice = random.Random(1)
    for _ in range(2000):
        noise = dice.randbytes(dice.randrange(60)) + b"\n"
        assert not is_sealed(noise)
        assert head(noise) is None


def test_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        line_of(body="\ud800")
