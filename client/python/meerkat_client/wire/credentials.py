"""Which environment variables hold the keys and base URLs of the providers.

Clients read their own environment and hand the result to the daemon with `initialize`; the daemon's environment is of
no account, because it may be days old. The first variable that is set and not empty wins: `RKAT_` ones come first.
"""

from collections.abc import Mapping

PROVIDERS = ("anthropic", "openai", "gemini")

API_KEYS = {
    "anthropic": ("RKAT_ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY"),
    "openai": ("RKAT_OPENAI_API_KEY", "OPENAI_API_KEY"),
    "gemini": ("RKAT_GEMINI_API_KEY", "RKAT_GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"),
}

BASE_URLS = {
    "anthropic": ("RKAT_ANTHROPIC_BASE_URL", "ANTHROPIC_BASE_URL"),
    "openai": ("RKAT_OPENAI_BASE_URL", "OPENAI_BASE_URL"),
    "gemini": ("RKAT_GEMINI_BASE_URL", "GEMINI_BASE_URL"),
}


def from_environment(environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The credentials in `environ`: {provider: {api_key?, base_url?}}, only what is set."""
    found: dict[str, dict[str, str]] = {}
    for field, names in (("api_key", API_KEYS), ("base_url", BASE_URLS)):
        for provider in PROVIDERS:
            value = next((text for name in names[provider] if (text := environ.get(name, "").strip())), None)
            if value is not None:
                found.setdefault(provider, {})[field] = value
    return found
