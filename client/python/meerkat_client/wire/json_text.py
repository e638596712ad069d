"""Strict JSON, for the doors and shims that speak text. The same values pass as in `framing`, and no others.

The standard library's decoder is fast and lenient: it takes NaN, keeps the last of two equal keys, and lets lone
surrogates through that no encoder can write again. Each of these is refused here.
"""

import json
from typing import Any, NoReturn

from .faults import MalformedFrame, NotEncodable
from .limits import MAX_DEPTH, MAX_INTEGER_BYTES, MAX_VALUES

# More digits cannot be within MAX_INTEGER_BYTES; checked first, because the conversion is quadratic.
_MAX_DIGITS = MAX_INTEGER_BYTES * 8 * 30103 // 100000 + 2


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) <= _MAX_DIGITS:
        value = int(digits)
        if value.bit_length() <= MAX_INTEGER_BYTES * 8:
            return value
    raise ValueError("an integer is out of range")


def _float(digits: str) -> float:
    value = float(digits)
    if value - value != 0:
        raise ValueError("a number is out of range")
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_constant)
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _bare(text: str) -> list[str]:
    """The parts of a text that are outside of its strings: what is between unescaped quotes is skipped."""
    return text.replace("\\\\", "").replace('\\"', "").split('"')[::2]


def _too_many(text: str) -> bool:
    """Whether there are certainly more values than one message may have; without building any."""
    if text.count(",") <= MAX_VALUES and text.count("[") + text.count("{") <= MAX_VALUES:
        return False
    bare = _bare(text)
    commas = sum(part.count(",") for part in bare)
    return max(commas, sum(part.count("[") + part.count("{") for part in bare)) > MAX_VALUES


def _too_deep(text: str) -> bool:
    """Whether the value is nested beyond the limit; by levels, so that nothing here recurses."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for part in _bare(text):
        for char in part:
            if char in "[{":
                depth += 1
                if depth > MAX_DEPTH:
                    return True
            elif char in "]}":
                depth -= 1
    return False


def decode_json(text: str | bytes) -> Any:
    """The one value that `text` is; bytes are UTF-8.

    Raises:
        MalformedFrame: not JSON, nested too deeply, of too many values, or one of the lenient extensions.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode()
        if _too_many(text):
            raise MalformedFrame(f"The message has more than {MAX_VALUES} values.")
        if _too_deep(text):
            raise MalformedFrame(f"The message is nested more than {MAX_DEPTH} levels deep.")
        value = _decoder.decode(text)
        if "\\u" in text:
            _encoder.encode(value).encode()
    except UnicodeError as error:
        raise MalformedFrame("A text is not well-formed Unicode.") from error
    except ValueError as error:
        raise MalformedFrame(f"The message is not strict JSON: {error}.") from error
    return value


def encode_json(message: Any) -> str:
    """`message` as one line of JSON.

    Raises:
        NotEncodable: a value that JSON does not have, or a lone surrogate.
    """
    try:
        text = _encoder.encode(message)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise NotEncodable(f"A value cannot be written as JSON: {error}.") from error
    return text
