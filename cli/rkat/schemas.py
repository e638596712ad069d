"""Output schemas of the command line: JSON in quotes, or a file."""

import json
from typing import Any

from meerkat_client.errors import RkatError

from .text_file import read_text

# The daemon takes no more; a file beyond it is read no further.
MAX_BYTES = 64 * 1024
_HINT = "Give JSON Schema: a file, or JSON in quotes that begins with a brace."


def read_schema(given: str | None) -> dict[str, Any] | None:
    """The schema that `--schema` names; whether it is a good one is the daemon's to say.

    Raises:
        RkatError: INVALID_PARAMS when it cannot be read or is no JSON object, REQUEST_TOO_LARGE.
    """
    if given is None:
        return None
    is_text = given.lstrip().startswith("{")
    what = "The schema" if is_text else f"The schema {given!r}"
    try:
        schema = json.loads(given if is_text else read_text(given, what="schema", limit=MAX_BYTES))
    except (ValueError, RecursionError) as error:
        raise _bad(f"{what} is not JSON: {error}.") from error
    if not isinstance(schema, dict):
        raise _bad(f"{what} is JSON, but no object.")
    return schema


def _bad(message: str) -> RkatError:
    return RkatError("INVALID_PARAMS", message, hint=_HINT, details={"field": "output_schema"})
