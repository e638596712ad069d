"""Values of a config, and of what may stand in one: limits of time, URLs, secrets, paths."""

import math
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from .base import Text
from .duration import SCHEMA as DURATION_SCHEMA
from .duration import seconds

# Longer waits than a day are mistakes of a unit.
MAX_SECONDS = 86_400.0
# Room for a signed token as a key; a key of a few KiB has to fit into an HTTP header.
MAX_KEY_CHARS = 8192


def _seconds_or_disabled(value: Any) -> float:
    return math.inf if value == "disabled" else seconds(value)


def _limit(value: float) -> float:
    if not 0 < value <= MAX_SECONDS:
        raise ValueError(f"must be more than 0 and at most {MAX_SECONDS:g} seconds")
    return value


def _limit_or_none(value: float) -> float:
    return value if value == math.inf else _limit(value)


def _pause(value: float) -> float:
    return value if value == 0 else _limit(value)


_CALL_SCHEMA: dict[str, Any] = {
    "anyOf": [*DURATION_SCHEMA["anyOf"], {"const": "disabled"}],
    "description": 'The whole call of a model; "disabled" (the default) for no limit.',
}

Limit = Annotated[float, BeforeValidator(seconds), AfterValidator(_limit), WithJsonSchema(DURATION_SCHEMA)]
Pause = Annotated[float, BeforeValidator(seconds), AfterValidator(_pause), WithJsonSchema(DURATION_SCHEMA)]
CallLimit = Annotated[
    float, BeforeValidator(_seconds_or_disabled), AfterValidator(_limit_or_none), WithJsonSchema(_CALL_SCHEMA)
]


def _header_text(text: str) -> str:
    # It travels in an HTTP header. The message must not repeat a secret.
    if not text.strip() or text != text.strip() or not (text.isascii() and text.isprintable()):
        raise ValueError("must be printable ASCII characters without spaces around them")
    return text


def _url(text: str) -> str:
    _header_text(text)
    try:
        parts = urlsplit(text)
        hostname, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must be a URL such as https://host/path") from None
    if parts.scheme not in ("http", "https") or not hostname or " " in text:
        raise ValueError("must be a URL that begins with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user name or password: a URL is shown, a key is not")
    return text


def _path(text: str) -> str:
    if not text.startswith(("/", "~/")):
        raise ValueError("must be an absolute path, or one that begins with ~/")
    return text


Secret = Annotated[
    str,
    AfterValidator(_header_text),
    Field(max_length=MAX_KEY_CHARS, json_schema_extra={"writeOnly": True}),
]
BaseUrl = Annotated[str, AfterValidator(_url), Field(max_length=2000)]
FilePath = Annotated[Text, AfterValidator(_path), Field(max_length=4096)]
