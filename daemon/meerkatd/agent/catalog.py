"""The catalog: well-known models of the hosted providers, for people to choose from. It is no gate."""

from typing import Any, Literal, NamedTuple

Tier = Literal["recommended", "supported"]


class CatalogModel(NamedTuple):
    """One row of the catalog; windows are tokens, None where the provider does not say."""

    provider: str
    id: str
    display_name: str
    tier: Tier
    context_window: int | None = None
    max_output_tokens: int | None = None


# The first row of a provider is its default.
CATALOG = (
    CatalogModel("anthropic", "claude-opus-5", "Claude Opus 5", "recommended", 1_000_000),
    CatalogModel("anthropic", "claude-sonnet-5", "Claude Sonnet 5", "recommended", 1_000_000),
    CatalogModel("anthropic", "claude-opus-4-6", "Claude Opus 4.6", "supported", 1_000_000),
    CatalogModel("anthropic", "claude-sonnet-4-6", "Claude Sonnet 4.6", "supported", 1_000_000),
    CatalogModel("anthropic", "claude-opus-4-5", "Claude Opus 4.5", "supported", 200_000),
    CatalogModel("anthropic", "claude-sonnet-4-5", "Claude Sonnet 4.5", "supported", 200_000),
    CatalogModel("anthropic", "claude-haiku-4-5", "Claude Haiku 4.5", "supported", 200_000),
    CatalogModel("openai", "gpt-5.6-sol", "GPT-5.6 Sol", "recommended", 1_050_000),
    CatalogModel("openai", "gpt-5.4", "GPT-5.4", "supported", 1_050_000),
    CatalogModel("openai", "gpt-5.4-mini", "GPT-5.4 mini", "supported", 400_000),
    CatalogModel("gemini", "gemini-3.5-flash", "Gemini 3.5 Flash", "recommended", 1_000_000),
    CatalogModel("gemini", "gemini-3-flash-preview", "Gemini 3 Flash Preview", "supported", 1_000_000),
    CatalogModel("gemini", "gemini-3.1-pro-preview", "Gemini 3.1 Pro Preview", "supported"),
)


def default_model_id(provider: str) -> str:
    """The model that is taken when only the provider is known."""
    return next(row.id for row in CATALOG if row.provider == provider)


def find(model: str) -> CatalogModel | None:
    """The catalog's row of a model by the provider's own name; None when it is not listed."""
    return next((row for row in CATALOG if row.id == model), None)


def shown(provider: str) -> list[dict[str, Any]]:
    """The provider's models as the surfaces show them; what is not known is left out."""
    rows = [row._asdict() for row in CATALOG if row.provider == provider]
    return [{key: value for key, value in row.items() if key != "provider" and value is not None} for row in rows]
