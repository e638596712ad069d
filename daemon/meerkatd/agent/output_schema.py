"""An output schema as a request gives it: JSON Schema of the answer, alone or with what a provider is to know of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import InvalidParams

# The whole schema goes into each call of the model, and into the session's document. 64 KiB are some 16,000 tokens; the
# largest that people write by hand have a few KiB.
MAX_SCHEMA_BYTES = 64 * 1024
# Names of response formats at the providers.
MAX_NAME_CHARS = 64

_WRAPPER = frozenset(("schema", "name", "strict", "compat", "format"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSchema:
    """What an answer has to be.

    Attributes:
        schema: JSON Schema of the answer.
        name: what a provider calls the format.
        strict: the provider is asked to hold the schema to the letter, where it can.
        compat: "lossy" goes on without the provider's own format when it refuses this schema, and tells so; "strict"
            makes that the turn's error.
    """

    schema: Mapping[str, Any]
    name: str = "answer"
    strict: bool = False
    compat: Literal["lossy", "strict"] = "lossy"

    @property
    def text(self) -> str:
        """The schema as one line of JSON."""
        return json.dumps(self.schema, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> "OutputSchema":
        """Read what a request says: a schema, or an object with `schema`, `name`, `strict`, `compat` and `format`.

        What makes a schema a good one is found by `schema_check.check_schema`.

        Raises:
            InvalidParams: with the path of the bad field.
        """
        if not isinstance(given.get("schema"), dict) or not set(given) <= _WRAPPER:
            return cls(schema=_bounded(given, "output_schema"))
        name, strict = given.get("name") or "answer", given.get("strict") or False
        compat: Any = given.get("compat") or "lossy"
        if not isinstance(name, str) or not _is_name(name):
            raise _bad("name", f"must have 1 to {MAX_NAME_CHARS} letters, digits, `_` and `-`")
        if not isinstance(strict, bool):
            raise _bad("strict", "must be true or false")
        if compat not in ("lossy", "strict"):
            raise _bad("compat", "must be lossy or strict")
        if given.get("format") not in (None, "meerkat_v1"):
            raise _bad("format", "must be meerkat_v1, the only one there is")
        return cls(schema=_bounded(given["schema"], "output_schema.schema"), name=name, strict=strict, compat=compat)


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME_CHARS and name.isascii() and name.replace("_", "a").replace("-", "a").isalnum()


def _bounded(schema: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    size = len(json.dumps(schema, ensure_ascii=False).encode("utf-8", "replace"))
    if size > MAX_SCHEMA_BYTES:
        raise InvalidParams(
            f"{path}: must have at most {MAX_SCHEMA_BYTES // 1024} KiB of JSON, and has {size // 1024 + 1}.",
            details={"field": path, "limit": MAX_SCHEMA_BYTES},
        )
    return schema


def _bad(field: str, rule: str) -> InvalidParams:
    return InvalidParams(f"output_schema.{field}: {rule}.", details={"field": f"output_schema.{field}"})
