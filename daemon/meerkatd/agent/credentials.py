"""Keys and base URLs of the providers, and which source wins. In memory only; no repr ever shows a key.

A connection brings the credentials of the shell that it comes from, so that a daemon that another shell started
yesterday uses today's key. Fields are merged one by one: a key from the environment goes to the base URL of the config.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from meerkat_client.wire.credentials import PROVIDERS, from_environment

from ..errors import InvalidParams

_FIELDS = ("api_key", "base_url")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAccess:
    """What is known about the way to one provider."""

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """Provider ("anthropic", "openai", "gemini") to what is known about the way to it."""

    providers: Mapping[str, ProviderAccess] = field(default_factory=lambda: MappingProxyType({}))

    def __repr__(self) -> str:
        return f"<Credentials for {', '.join(sorted(self.providers)) or 'nobody'}>"

    @classmethod
    def parse(cls, value: Mapping[str, Any], *, where: str = "credentials") -> "Credentials":
        """Check credentials of the shape {provider: {api_key?, base_url?}}; empty texts count as absent.

        Args:
            where: name of the field, for the message.

        Raises:
            InvalidParams: an unknown provider or field, or a value that cannot be a key or URL. The message never
                repeats the value.
        """
        return cls(MappingProxyType({name: _access(name, fields, where=where) for name, fields in value.items()}))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Credentials":
        """What `environ` says. Raises InvalidParams like `parse`."""
        return cls.parse(from_environment(environ), where="environment")

    @classmethod
    def merge(cls, *sources: "Credentials") -> "Credentials":
        """All sources together; an earlier one wins, field by field."""
        merged: dict[str, ProviderAccess] = {}
        for source in sources:
            for name, access in source.providers.items():
                known = merged.get(name, ProviderAccess())
                merged[name] = ProviderAccess(
                    api_key=known.api_key or access.api_key, base_url=known.base_url or access.base_url
                )
        return cls(MappingProxyType(merged))

    def get(self, provider: str) -> ProviderAccess:
        return self.providers.get(provider, ProviderAccess())


def _access(name: str, fields: Any, *, where: str) -> ProviderAccess:
    path = f"{where}.{name}"
    if name not in PROVIDERS:
        raise InvalidParams(
            f"{path}: there is no such provider; known are {', '.join(PROVIDERS)}.", details={"field": path}
        )
    if not isinstance(fields, Mapping):
        raise InvalidParams(f"{path} must be an object.", details={"field": path})
    for key, value in fields.items():
        if key not in _FIELDS:
            raise InvalidParams(
                f"{path}.{key}: unknown field; known are {', '.join(_FIELDS)}.",
                details={"field": f"{path}.{key}"},
            )
        check_credential(key, value, where=f"{path}.{key}")
    return ProviderAccess(api_key=_text(fields.get("api_key")), base_url=_text(fields.get("base_url")))


def check_credential(key: str, value: Any, *, where: str) -> None:
    """Refuse what could not travel in an HTTP header or is no HTTP URL.

    Raises:
        InvalidParams: without the value in its text.
    """
    if value is None:
        return
    if not isinstance(value, str) or not (value.strip().isascii() and value.strip().isprintable()):
        raise InvalidParams(f"{where} must be text of printable ASCII characters.", details={"field": where})
    if key == "base_url" and value.strip() and not value.strip().startswith(("http://", "https://")):
        raise InvalidParams(f"{where} must begin with http:// or https://.", details={"field": where})


def _text(value: Any) -> str | None:
    return (value or "").strip() or None
