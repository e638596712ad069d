"""Durations: a number of seconds, or a text with a unit."""

import math
import re
from typing import Any

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
RULE = 'a number of seconds, or text such as "500ms", "30s", "2m" or "1h"'

SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*(ms|s|m|h)$"}],
    "description": f"A duration: {RULE}.",
}


def seconds(value: Any) -> float:
    """A duration in seconds, from its spelling. Raises ValueError with the rule."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"must be {RULE}")
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"must be {RULE}")
        return float(match[1]) * _UNITS[match[2]]
    if not math.isfinite(value):
        raise ValueError(f"must be {RULE}")
    return float(value)
