"""What a call costs: the table of list prices against the library that it is from, and what wins over it."""

from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkatd.agent.catalog import CATALOG
from meerkatd.agent.models import Endpoint
from meerkatd.agent.port import TokenUsage
from meerkatd.agent.prices import FREE, NANOS, Price, Rates, listed_as_of, price_of

THEIR_NAMES = {"anthropic": "anthropic", "openai": "openai", "gemini": "google"}
SIZES = [
    TokenUsage(input_tokens=1, output_tokens=1),
    TokenUsage(input_tokens=1000, output_tokens=300),
    TokenUsage(input_tokens=250_000, output_tokens=4000, cache_read_tokens=100_000),
    TokenUsage(input_tokens=900_000, output_tokens=64_000, cache_read_tokens=800_000),
]


def endpoint(kind: str, model: str, full_name: str | None = None) -> Endpoint:
    return Endpoint(kind=kind, model=model, base_url="", provider=kind, full_name=full_name or f"{kind}/{model}")


@pytest.mark.parametrize("row", CATALOG, ids=lambda row: row.id)
def test_every_model_of_the_catalog_costs_what_the_library_says(row) -> None:
    price = price_of(endpoint(row.provider, row.id), {})
    assert price is not None
    for usage in SIZES:
        theirs = genai_prices.calc_price(
            genai_prices.Usage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.cache_read_tokens,
            ),
            model_ref=row.id,
            provider_id=THEIR_NAMES[row.provider],
            genai_request_timestamp=datetime.fromisoformat(listed_as_of()).replace(tzinfo=UTC),
        ).total_price
        assert abs(Decimal(price.cost(usage)) - theirs * NANOS) < 1, usage


@pytest.mark.parametrize(
    ("kind", "model"), [("anthropic", "claude-opus-5-20260801"), ("openai", "gpt-5.4-2026-03-05"), ("openai", "gpt-4o")]
)
def test_a_dated_name_and_one_beyond_the_catalog_have_a_price(kind: str, model: str) -> None:
    assert price_of(endpoint(kind, model), {}) is not None


def test_a_model_that_nobody_lists_has_no_price_and_a_server_of_ones_own_neither() -> None:
    assert price_of(endpoint("openai", "gpt-next"), {}) is None
    assert price_of(endpoint("self_hosted", "gpt-5.4", "box/gpt-5.4"), {}) is None


def test_a_local_model_is_free_and_the_config_wins_over_everything() -> None:
    own = Price(tiers=((0, Rates.per_million({"input": 3, "output": 4})),))
    assert price_of(endpoint("local", "smollm2"), {}) is FREE
    assert price_of(endpoint("local", "smollm2"), {"local/smollm2": own}) is own
    assert price_of(endpoint("openai", "gpt-5.4"), {"gpt-5.4": own}) is own
    assert price_of(endpoint("self_hosted", "m", "box/m"), {"box/m": own, "m": FREE}) is own


rates = st.builds(
    lambda **dollars: Rates.per_million(dollars),
    input=st.floats(0, 1000),
    output=st.floats(0, 1000),
    cache_read=st.none() | st.floats(0, 1000),
    cache_write=st.none() | st.floats(0, 1000),
)
tokens = st.integers(0, 10**9)


@given(rates, tokens, tokens, st.floats(0, 1), st.floats(0, 1))
def test_no_call_costs_more_than_its_worst_case(each: Rates, given_in, given_out, read, written) -> None:
    price = Price(tiers=((0, each),))
    cached = int(given_in * read)
    usage = TokenUsage(
        input_tokens=given_in,
        output_tokens=given_out,
        cache_read_tokens=cached,
        cache_creation_tokens=int((given_in - cached) * written),
    )
    assert 0 <= price.cost(usage) <= price.at_most(input_tokens=given_in, output_tokens=given_out)


@given(rates, tokens, st.integers(0, 10**15))
def test_an_answer_that_money_buys_can_be_paid_with_it(each: Rates, given_in, nanos) -> None:
    price = Price(tiers=((0, each),))
    output = price.affordable_output(nanos, input_tokens=given_in)
    if output is None:
        assert each.output == 0
    elif output >= 0:
        assert price.at_most(input_tokens=given_in, output_tokens=output) <= nanos


def test_a_call_of_many_tokens_is_paid_by_the_tier_that_it_reaches() -> None:
    low, high = Rates.per_million({"input": 1, "output": 1}), Rates.per_million({"input": 2, "output": 2})
    price = Price(tiers=((0, low), (1000, high)))
    assert price.cost(TokenUsage(input_tokens=1000)) == 1_000_000
    assert price.cost(TokenUsage(input_tokens=1001)) == 2_002_000
