"""Frames: what passes, what is refused, and that no bytes whatever do anything else."""

import contextlib
import math
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat_client.wire.faults import FrameTooLarge, MalformedFrame, NotEncodable
from meerkat_client.wire.framing import FrameReader, Oversized, decode, encode, encode_frame, require_plain
from meerkat_client.wire.limits import MAX_DEPTH

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**1000), 2**1000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_every_json_value_survives_the_way_there_and_back(value: Any) -> None:
    assert decode(encode(value)) == value


REFUSED = {
    "bytes after the value": b"\x00\x00",
    "nothing": b"",
    "an integer key": b"\xa1\x01\x02",
    "a key of bytes": b"\xa1\x41a\x02",
    "the same key twice": b"\xa2\x61a\x01\x61a\x02",
    "an indefinite array": b"\x9f\x01\xff",
    "undefined": b"\xf7",
    "a simple value": b"\xf0",
    "a byte string": b"\x41a",
    "NaN": cbor2.dumps(math.nan),
    "infinity": cbor2.dumps(-math.inf),
    "text that is not UTF-8": b"\x61\xff",
    "a surrogate": b"\x63\xed\xa0\x80",
    "a length of 2^64-1": b"\x5b" + b"\xff" * 8,
    "a date": b"\xc0\x74" + b"2026-01-01T00:00:00Z",
    "a regular expression": b"\xd8\x23\x65" + b"(a+)+",
    "a MIME message": b"\xd8\x24\x61a",
    "a shared reference": b"\xd8\x1c\x81\xd8\x1d\x00",
    "an unknown tag": b"\xd9\xfd\xe8\x01",
    "self-described CBOR": b"\xd9\xd9\xf7\x01",
    "a bignum beyond a double": b"\xc2\x58\x81" + b"\xff" * 129,
    "nesting": b"\x81" * (MAX_DEPTH + 1) + b"\x00",
    "a million empty arrays": b"\x9a" + (10**6).to_bytes(4) + b"\x80" * 10**6,
    "a bomb of nesting": b"\x81" * 100_000,
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_lenient_cbor_is_refused(body: bytes) -> None:
    """Measured with cbor2's defaults: most of these are accepted, and some cost seconds."""
    with pytest.raises(MalformedFrame):
        decode(body)


_LOOP: list[Any] = []
_LOOP.append(_LOOP)


@pytest.mark.parametrize("text", ["─" * 300_000, "x" * 1_000_000, "\x80" * 300_000])
def test_a_long_text_is_one_value_whatever_its_bytes_look_like(text: str) -> None:
    assert decode(encode({"text": text, "list": list(range(40_000))}))["text"] == text


def test_nesting_up_to_the_limit_passes() -> None:
    assert decode(b"\x81" * MAX_DEPTH + b"\x00")


@pytest.mark.parametrize(
    "value",
    ["\ud800", {"a": "\udfff"}, object(), (loop := [], loop.append(loop))[0]],
    ids=["key", "in", "object", "loop"],
)
def test_what_cannot_be_sent_is_refused_before_sending(value: Any) -> None:
    with pytest.raises(NotEncodable):
        encode(value)


@pytest.mark.parametrize("value", [{1: 2}, {"a": b"x"}, {"a": math.nan}, {"a": {1, 2}}])
def test_values_outside_of_json_are_found_before_sending(value: Any) -> None:
    with pytest.raises(NotEncodable):
        require_plain(value)


def test_a_frame_above_its_limit_is_refused_with_its_size() -> None:
    with pytest.raises(FrameTooLarge) as caught:
        encode_frame("x" * 100, 50)
    assert caught.value.code == "REQUEST_TOO_LARGE"
    assert caught.value.details == {"size": 102, "limit": 50}


def read_all(reader: FrameReader) -> list[bytes | Oversized]:
    found = []
    while (item := reader.next()) is not None:
        found.append(item)
    return found


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 17))
def test_frames_come_out_whole_however_the_bytes_arrive(bodies: list[bytes], step: int) -> None:
    stream = b"".join(len(body).to_bytes(4) + body for body in bodies)
    reader = FrameReader(100)
    found: list[bytes | Oversized] = []
    for start in range(0, len(stream), step):
        reader.feed(stream[start : start + step])
        found += read_all(reader)
    assert found == bodies
    assert reader.unfinished == 0


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_an_oversized_frame_is_skipped_without_being_stored(step: int) -> None:
    stream = (300).to_bytes(4) + b"\x01" * 300 + (2).to_bytes(4) + b"ok"
    reader = FrameReader(100, max_discard=1000)
    found: list[bytes | Oversized] = []
    for start in range(0, len(stream), step):
        reader.feed(stream[start : start + step])
        found += read_all(reader)
        assert len(reader._buffer) <= 104
    skipped, after = found
    assert isinstance(skipped, Oversized)
    assert (skipped.length, skipped.fatal) == (300, False)
    assert after == b"ok"


def test_nothing_follows_a_frame_that_is_too_large_to_skip() -> None:
    reader = FrameReader(100, max_discard=1000)
    reader.feed((1001).to_bytes(4) + b"\x00" * 2000 + (2).to_bytes(4) + b"ok")
    (item,) = read_all(reader)
    assert isinstance(item, Oversized)
    assert item.fatal
    reader.feed((2).to_bytes(4) + b"ok")
    assert read_all(reader) == []


def test_an_unfinished_frame_tells_its_size() -> None:
    reader = FrameReader(100)
    reader.feed(b"\x00")
    assert reader.unfinished > 0
    reader.feed(b"\x00\x00\x05abc")
    assert reader.next() is None
    assert reader.unfinished == 5


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_a_value_or_a_refusal_and_nothing_else(data: bytes) -> None:
    """A value that passed can be sent on: strict in, strict out."""
    reader = FrameReader(64, max_discard=128)
    reader.feed(data)
    for item in [*read_all(reader), data]:
        if isinstance(item, Oversized):
            continue
        try:
            value = decode(item)
        except MalformedFrame:
            continue
        assert decode(encode(value)) == value


@settings(max_examples=300)
@given(PLAIN, st.data())
def test_one_changed_byte_gives_a_value_or_a_refusal(value: Any, data: st.DataObject) -> None:
    body = bytearray(encode(value))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedFrame):
        decode(bytes(body))
