"""Which model a name means, and the way to it.

A name whose prefix tells the provider (`claude-`, `gpt-`, `gemini-`, ...) is passed on, in the catalog or not, since
models appear faster than releases of this program. A name that tells nothing is refused with the nearest known ones.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from meerkat_client import model_files
from meerkat_client.wire.credentials import API_KEYS, PROVIDERS

from ..errors import InvalidParams, ProviderNotConfigured
from .catalog import CATALOG, default_model_id, find, shown
from .credentials import Credentials
from .port import ProviderKind

BASE_URLS: Mapping[str, str] = {
    "anthropic": "https://api.anthropic.com",
    "openai": "https://api.openai.com/v1",
    "gemini": "https://generativelanguage.googleapis.com",
}

_PREFIXES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gpt-|chatgpt-|o[1-9](-|$)"), "openai"),
    (re.compile(r"gemini-"), "gemini"),
)

LOCAL = "local"
SELF_HOSTED = "self_hosted"

_WAYS_ON = (
    "Set a provider's key (ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY), or fetch the small local model with "
    "`pip install 'meerkatd[local]'` and `rkat models pull smollm2`, or name a server of your own in the config: "
    "[servers.NAME] with base_url and default_model."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """A server that speaks OpenAI's chat completions: Ollama, llama.cpp, vLLM, a gateway, ..."""

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    default_model: str | None = None
    context_window: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What the config says about models.

    Attributes:
        default_model: the model of a request that names none; any name that `resolve` takes.
        servers: name to server.
        models_dir: where local models lie; None for the place that `rkat models pull` uses.
    """

    default_model: str | None = None
    servers: Mapping[str, ServerSettings] = field(default_factory=dict)
    models_dir: Path | None = None

    def directory(self) -> Path:
        return self.models_dir or model_files.models_dir()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One model and the way to it. Equal endpoints may share one provider.

    Attributes:
        model: the provider's own name of the model.
        base_url: without a trailing slash; the path of the GGUF file for kind "local".
        provider: what the surfaces show as `provider`.
        context_window: in tokens; None where nobody knows it.
        full_name: a name that `resolve` takes back to the same endpoint.
    """

    kind: ProviderKind
    model: str
    base_url: str
    api_key: str | None = field(default=None, repr=False)
    provider: str
    full_name: str
    context_window: int | None = None

    @property
    def takes_images(self) -> bool:
        """False for models that are known to take none; a server of the user's own may take them."""
        return self.kind != "local"

    @property
    def is_openai(self) -> bool:
        """Whether OpenAI itself answers there, and not something that is compatible with it."""
        return self.kind == "openai" and urlsplit(self.base_url).hostname == "api.openai.com"


def resolve(
    model: str | None,
    *,
    provider: str | None = None,
    settings: ModelSettings,
    credentials: Credentials,
) -> Endpoint:
    """Find the model that a request means, and the way to it.

    Args:
        model: a model's name, alone or as `provider/name`, `server/name`, `local/name`, `local//abs/path.gguf`. None or
            empty takes the default of the config, else what is there: a provider with a key, a server with a default
            model, a local model that was pulled.
        provider: wins over what the name says: a provider, a server of the config, "self_hosted" or "local".

    Raises:
        ProviderNotConfigured: the model is clear, but its key, server or file is missing; or there is no model at all.
        InvalidParams: the name or the provider says nothing.
    """
    model = (model or "").strip() or None
    if provider:
        return _with_provider(model, provider, settings, credentials)
    if model is None and settings.default_model:
        model = settings.default_model
    if model is None:
        return _whatever_is_there(settings, credentials)
    return _by_name(model, settings, credentials)


def _by_name(model: str, settings: ModelSettings, credentials: Credentials) -> Endpoint:
    head, slash, rest = model.partition("/")
    if slash and rest:
        if head in settings.servers:
            return _server(head, rest, settings)
        if head == LOCAL:
            return _local(rest, settings)
        if head in PROVIDERS:
            return _hosted(head, rest, credentials)
    for pattern, name in _PREFIXES:
        if pattern.match(model):
            return _hosted(name, model, credentials)
    if model in model_files.KNOWN or model.endswith(model_files.SUFFIX):
        return _local(model, settings)
    if model in settings.servers:
        return _server(model, None, settings)
    raise _unknown(model, settings)


def _with_provider(model: str | None, provider: str, settings: ModelSettings, credentials: Credentials) -> Endpoint:
    if model is not None and model.startswith(f"{provider}/"):
        model = model.removeprefix(f"{provider}/")
    if provider in settings.servers:
        return _server(provider, model, settings)
    if provider in PROVIDERS:
        return _hosted(provider, model or default_model_id(provider), credentials)
    if provider == LOCAL:
        return _local(model or _first_local(settings), settings)
    if provider == SELF_HOSTED:
        return _some_server(model, settings)
    known = [*PROVIDERS, LOCAL, SELF_HOSTED, *sorted(settings.servers)]
    raise InvalidParams(
        f"There is no provider {provider!r}; known are {', '.join(known)}.",
        details={"field": "provider", "known": known},
    )


def _some_server(model: str | None, settings: ModelSettings) -> Endpoint:
    """The server that `self_hosted` means: named in front of the model, or the only one there is."""
    head, slash, rest = (model or "").partition("/")
    if slash and head in settings.servers:
        return _server(head, rest, settings)
    if len(settings.servers) == 1:
        return _server(next(iter(settings.servers)), model, settings)
    if not settings.servers:
        raise ProviderNotConfigured(
            "The config names no server for self-hosted models.",
            hint="Add [servers.NAME] with base_url and default_model to the config.",
        )
    names = ", ".join(sorted(settings.servers))
    raise InvalidParams(
        f"There are several servers ({names}): name one in front of the model, as server/model.",
        details={"field": "model", "known": sorted(settings.servers)},
    )


def _whatever_is_there(settings: ModelSettings, credentials: Credentials) -> Endpoint:
    for name in PROVIDERS:
        if credentials.get(name).api_key:
            return _hosted(name, default_model_id(name), credentials)
    for name, server in settings.servers.items():
        if server.default_model:
            return _server(name, None, settings)
    if model_files.installed(settings.directory()):
        return _local(_first_local(settings), settings)
    raise ProviderNotConfigured("No model can be used yet: no provider has a key.", hint=_WAYS_ON)


def _hosted(provider: str, model: str, credentials: Credentials) -> Endpoint:
    access = credentials.get(provider)
    if not access.api_key and not _is_loopback(access.base_url):
        names = API_KEYS[provider]
        raise ProviderNotConfigured(
            f"There is no key for {provider}, which has the model {model}.",
            details={"provider": provider, "model": model, "environment": list(names)},
            hint=f"Set {names[-1] if provider == 'openai' else ' or '.join(names)} in the shell you call from.",
        )
    kind: dict[str, ProviderKind] = {"anthropic": "anthropic", "openai": "openai", "gemini": "gemini"}
    return Endpoint(
        kind=kind[provider],
        model=model,
        base_url=_base_url(provider, access.base_url or BASE_URLS[provider]),
        api_key=access.api_key,
        provider=provider,
        full_name=f"{provider}/{model}",
        context_window=_window(model),
    )


def _window(model: str) -> int | None:
    row = find(model)
    return row.context_window if row is not None else None


def _base_url(provider: str, url: str) -> str:
    """Base URLs as people write them: a version that the format adds itself goes, one that it does not comes."""
    url = url.rstrip("/")
    if provider == "anthropic":
        return url.removesuffix("/v1")
    if provider == "gemini":
        return url.removesuffix("/v1beta")
    return url if urlsplit(url).path else f"{url}/v1"


def _is_loopback(url: str | None) -> bool:
    """Whether `url` is on this machine, where test servers and gateways need no key."""
    return url is not None and urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


def _server(name: str, model: str | None, settings: ModelSettings) -> Endpoint:
    server = settings.servers[name]
    chosen = model or server.default_model
    if not chosen:
        raise InvalidParams(
            f"Server {name!r} has no default model: name one, as {name}/MODEL.",
            details={"field": "model", "server": name},
        )
    return Endpoint(
        kind="self_hosted",
        model=chosen,
        base_url=_base_url(SELF_HOSTED, server.base_url),
        api_key=server.api_key,
        provider=SELF_HOSTED,
        full_name=f"{name}/{chosen}",
        context_window=server.context_window,
    )


def _first_local(settings: ModelSettings) -> str:
    present = model_files.installed(settings.directory())
    return present[0].name if present else next(iter(model_files.KNOWN))


def _local(name: str, settings: ModelSettings) -> Endpoint:
    """A model of this machine: one that `rkat models pull` knows, or any GGUF file by its absolute path."""
    if name.startswith("/"):
        path = Path(name)
        hint = "Check the path; it must be absolute and end in .gguf."
    elif name in model_files.KNOWN:
        path = model_files.path_of(name, settings.directory())
        hint = f"Fetch it with `rkat models pull {name}`."
    else:
        raise InvalidParams(
            f"There is no local model {name!r}; known are {', '.join(model_files.KNOWN)}, "
            "and the absolute path of any GGUF file.",
            details={"field": "model", "known": list(model_files.KNOWN)},
        )
    if not path.is_file():
        raise ProviderNotConfigured(
            f"The local model {name} is not on this machine.",
            details={"provider": LOCAL, "model": name, "path": str(path)},
            hint=hint,
        )
    return Endpoint(
        kind="local",
        model=path.name.removesuffix(model_files.SUFFIX) if name.startswith("/") else name,
        base_url=str(path),
        provider=LOCAL,
        full_name=f"{LOCAL}/{name}",
        context_window=model_files.KNOWN[name].context_window if name in model_files.KNOWN else None,
    )


def _unknown(model: str, settings: ModelSettings) -> InvalidParams:
    names = [row.id for row in CATALOG] + list(model_files.KNOWN) + sorted(settings.servers)
    near = difflib.get_close_matches(model, names, n=3, cutoff=0.4)
    told = f" Did you mean {' or '.join(near)}?" if near else ""
    return InvalidParams(
        f"The model name {model!r} does not tell its provider.{told}",
        details={"field": "model", "nearest": near},
        hint="`rkat models list` shows the known ones; any other model is named as provider/model or server/model.",
    )


def catalog(settings: ModelSettings) -> list[dict[str, Any]]:
    """The `providers` of models/catalog: the hosted ones, then the servers of the config, then local models."""
    rows: list[dict[str, Any]] = [
        {"provider": provider, "default_model_id": default_model_id(provider), "models": shown(provider)}
        for provider in PROVIDERS
    ]
    rows.extend(_server_rows(settings))
    local = [
        {
            "id": f"{LOCAL}/{known.name}",
            "display_name": known.title,
            "tier": "supported",
            "context_window": known.context_window,
        }
        for known in model_files.KNOWN.values()
    ]
    rows.append({"provider": LOCAL, "default_model_id": local[0]["id"], "models": local})
    return rows


def _server_rows(settings: ModelSettings) -> Iterator[dict[str, Any]]:
    models = [
        {
            "id": f"{name}/{server.default_model}",
            "display_name": f"{server.default_model} on {name}",
            "tier": "supported",
            "server_id": name,
        }
        for name, server in settings.servers.items()
        if server.default_model
    ]
    if models:
        yield {"provider": SELF_HOSTED, "default_model_id": models[0]["id"], "models": models}
