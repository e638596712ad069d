"""Writes `meerkatd/agent/price_table.json` from the data that the library genai-prices ships (MIT, by Pydantic).

    python -m tests.agent.make_price_table 2026-11-23

The daemon does not import that library: alone it takes a quarter of a second and its data 7 MiB, of which the rows of
three providers are 36 KB. So these are taken over, with the date, and tests hold our costs against the library's own.
"""

import json
import re
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import genai_prices
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    TieredPrices,
)

import meerkatd.agent

PATH = Path(meerkatd.agent.__file__).with_name("price_table.json")
# Their names of the providers, and ours.
PROVIDERS = {"anthropic": "anthropic", "openai": "openai", "google": "gemini"}
# Google's rows name models of others, too, as they are sold there; our adapter reaches Gemini alone.
_PREFIXES = {"google": ("gemini-",)}
_FIELDS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
}


def table(as_of: str) -> dict[str, Any]:
    """The whole document.

    Args:
        as_of: the date whose prices are taken, as YYYY-MM-DD.
    """
    at = datetime.fromisoformat(as_of).replace(tzinfo=UTC)
    models = []
    for provider in get_snapshot().providers:
        if provider.id not in PROVIDERS:
            continue
        for model in provider.models:
            if not model.id.startswith(_PREFIXES.get(provider.id, ("",))):
                continue
            price = model.get_prices(at)
            if price.input_mtok is None or price.output_mtok is None:
                continue
            models.append(
                {
                    "provider": PROVIDERS[provider.id],
                    "id": model.id,
                    "match": _pattern(model.match),
                    "rates": _rates(price),
                }
            )
    return {
        "as_of": as_of,
        "source": f"genai-prices {genai_prices.__version__}, https://github.com/pydantic/genai-prices",
        "unit": "US dollars per million tokens; `above` is where a tier begins, in input tokens, for the whole call",
        "models": models,
    }


def _pattern(clause: Any) -> str:
    """A clause of theirs as one regular expression, to be searched for in a name of lower case."""
    match clause:
        case ClauseOr():
            return "|".join(_pattern(each) for each in clause.or_)
        case ClauseAnd():
            return "^" + "".join(f"(?=.*(?:{_pattern(each)}))" for each in clause.and_)
        case ClauseEquals():
            return f"^{re.escape(clause.equals)}$"
        case ClauseStartsWith():
            return f"^{re.escape(clause.starts_with)}"
        case ClauseEndsWith():
            return f"{re.escape(clause.ends_with)}$"
        case ClauseContains():
            return re.escape(clause.contains)
        case ClauseRegex():
            return str(clause.regex)
    raise TypeError(f"no such clause is known: {clause!r}")


def _rates(price: Any) -> list[dict[str, float | int]]:
    values = {name: getattr(price, field) for name, field in _FIELDS.items()}
    starts = sorted(
        {tier.start for value in values.values() if isinstance(value, TieredPrices) for tier in value.tiers}
    )
    return [_rates_above(values, above) for above in (0, *starts)]


def _rates_above(values: dict[str, Decimal | TieredPrices | None], above: int) -> dict[str, float | int]:
    rates: dict[str, float | int] = {"above": above}
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, TieredPrices):
            tiers = [tier.price for tier in value.tiers if tier.start <= above and above]
            value = tiers[-1] if tiers else value.base
        rates[name] = float(value)
    return rates


def main(as_of: str) -> None:
    document = table(as_of)
    rows = ",\n".join("    " + json.dumps(row) for row in document.pop("models"))
    head = json.dumps(document, indent=2).removesuffix("\n}")
    PATH.write_text(f'{head},\n  "models": [\n{rows}\n  ]\n}}\n')


if __name__ == "__main__":
    main(sys.argv[1])
