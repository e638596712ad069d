"""What all params have in common, and the limits that apply to more than one noun."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

# History and list: 100 rows when nothing is said, at most 1000, on every surface.
DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
# Far beyond any session's length, and safely within a 64-bit column.
MAX_OFFSET = 2**53 - 1
# An idempotency key is made by a program; a UUID has 36 characters, a hash 64.
MAX_KEY_CHARS = 200
# Labels are for finding sessions, not for storing things in them.
MAX_LABELS = 32
MAX_LABEL_CHARS = 200


class Params(BaseModel):
    """Params of a method: unknown fields are an error, and nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _without_nul(text: str) -> str:
    # A NUL ends a text in C libraries, terminals and some providers; refusing it early loses nothing.
    if "\0" in text:
        raise ValueError("must not contain a NUL character (U+0000)")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]
ShortText = Annotated[Text, StringConstraints(min_length=1, max_length=200)]
SessionRef = Annotated[
    Text,
    Field(
        min_length=1,
        max_length=120,
        description="A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`.",
    ),
]
IdempotencyKey = Annotated[
    Text,
    Field(
        min_length=1,
        max_length=MAX_KEY_CHARS,
        description="The same key with the same params gives the first outcome again, also after a crash.",
    ),
]
Offset = Annotated[int, Field(ge=0, le=MAX_OFFSET)]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]
Label = Annotated[Text, StringConstraints(min_length=1, max_length=MAX_LABEL_CHARS)]
Labels = Annotated[
    dict[Label, Annotated[Text, StringConstraints(max_length=MAX_LABEL_CHARS)]], Field(max_length=MAX_LABELS)
]
JsonObject = dict[str, Any]


def complaint(problem: Mapping[str, Any]) -> str:
    """What is wrong, in our words where those of pydantic are about its own types.

    Args:
        problem: one of `ValidationError.errors()`, with its context.
    """
    context = problem.get("ctx", {})
    if problem["type"] == "missing":
        return "is required"
    if problem["type"] in ("too_short", "string_too_short") and context["min_length"] == 1:
        return "must not be empty"
    if problem["type"] in ("too_long", "string_too_long"):
        # A text that was checked before counts as a plain "Value".
        texts = context.get("field_type", "Value") == "Value"
        return f"must have at most {context['max_length']} {'characters' if texts else 'entries'}"
    message: str = problem["msg"].removeprefix("Value error, ")
    return f"{message[0].lower()}{message[1:]}"
