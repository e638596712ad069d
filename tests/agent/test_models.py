"""Which model a name means, and what is told when it means none that can be used."""

from pathlib import Path
from typing import Any

import pytest

from meerkat_client import model_files
from meerkat_client.wire.credentials import from_environment
from meerkatd.agent.catalog import CATALOG, default_model_id, find
from meerkatd.agent.credentials import Credentials
from meerkatd.agent.models import BASE_URLS, Endpoint, ModelSettings, ServerSettings, catalog, resolve
from meerkatd.errors import InvalidParams, ProviderNotConfigured

ALL = Credentials.parse({name: {"api_key": f"key-of-{name}"} for name in ("anthropic", "openai", "gemini")})
NONE = Credentials()
SERVERS = {
    "ollama": ServerSettings(base_url="http://127.0.0.1:11434", default_model="qwen3:8b"),
    "lab": ServerSettings(base_url="https://lab.example/api/v1/", api_key="key-of-lab"),
}


@pytest.fixture
def settings(tmp_path: Path) -> ModelSettings:
    """Two servers, and no local model."""
    return ModelSettings(servers=SERVERS, models_dir=tmp_path)


@pytest.fixture
def bare(tmp_path: Path) -> ModelSettings:
    return ModelSettings(models_dir=tmp_path)


def put_local_model(directory: Path) -> Path:
    """A file of the right name and size, which is all that finding it looks at."""
    path = model_files.path_of("smollm2", directory)
    with path.open("wb") as handle:
        handle.truncate(model_files.KNOWN["smollm2"].size)
    return path


@pytest.mark.parametrize(
    ("name", "full_name", "base_url"),
    [
        ("claude-opus-5", "anthropic/claude-opus-5", "https://api.anthropic.com"),
        ("claude-not-yet-made", "anthropic/claude-not-yet-made", "https://api.anthropic.com"),
        ("gpt-5.4", "openai/gpt-5.4", "https://api.openai.com/v1"),
        ("o3", "openai/o3", "https://api.openai.com/v1"),
        ("o4-mini", "openai/o4-mini", "https://api.openai.com/v1"),
        ("chatgpt-4o-latest", "openai/chatgpt-4o-latest", "https://api.openai.com/v1"),
        ("gemini-3.5-flash", "gemini/gemini-3.5-flash", "https://generativelanguage.googleapis.com"),
        ("openai/something", "openai/something", "https://api.openai.com/v1"),
        ("ollama/llama3:70b", "ollama/llama3:70b", "http://127.0.0.1:11434/v1"),
        ("lab/org/model", "lab/org/model", "https://lab.example/api/v1"),
        ("ollama", "ollama/qwen3:8b", "http://127.0.0.1:11434/v1"),
    ],
)
def test_a_name_tells_its_provider(settings: ModelSettings, name: str, full_name: str, base_url: str) -> None:
    endpoint = resolve(name, settings=settings, credentials=ALL)
    assert (endpoint.full_name, endpoint.base_url) == (full_name, base_url)


@pytest.mark.parametrize("row", CATALOG, ids=lambda row: row.id)
def test_every_model_of_the_catalog_resolves_to_its_provider(settings: ModelSettings, row: Any) -> None:
    assert resolve(row.id, settings=settings, credentials=ALL).provider == row.provider


@pytest.mark.parametrize("name", ["claude-opus-5", "gpt-5.4", "ollama/m", "lab/org/m", "gemini-3.5-flash"])
def test_a_full_name_leads_back_to_the_same_endpoint(settings: ModelSettings, name: str) -> None:
    endpoint = resolve(name, settings=settings, credentials=ALL)
    assert resolve(endpoint.full_name, settings=settings, credentials=ALL) == endpoint


@pytest.mark.parametrize(
    ("model", "provider", "full_name"),
    [
        ("claude-opus-5", "openai", "openai/claude-opus-5"),
        ("anthropic/claude-opus-5", "anthropic", "anthropic/claude-opus-5"),
        (None, "gemini", f"gemini/{default_model_id('gemini')}"),
        ("llama3", "ollama", "ollama/llama3"),
        (None, "ollama", "ollama/qwen3:8b"),
        ("lab/m", "self_hosted", "lab/m"),
    ],
)
def test_an_explicit_provider_wins(settings: ModelSettings, model: str | None, provider: str, full_name: str) -> None:
    assert resolve(model, provider=provider, settings=settings, credentials=ALL).full_name == full_name


def test_self_hosted_means_the_only_server_there_is(tmp_path: Path) -> None:
    settings = ModelSettings(servers={"ollama": SERVERS["ollama"]}, models_dir=tmp_path)
    assert resolve("m", provider="self_hosted", settings=settings, credentials=NONE).full_name == "ollama/m"


def test_self_hosted_among_several_servers_asks_which(settings: ModelSettings) -> None:
    with pytest.raises(InvalidParams) as caught:
        resolve("m", provider="self_hosted", settings=settings, credentials=NONE)
    assert caught.value.details["known"] == ["lab", "ollama"]


def test_without_a_name_the_config_decides(settings: ModelSettings, tmp_path: Path) -> None:
    chosen = ModelSettings(default_model="lab/m", servers=SERVERS, models_dir=tmp_path)
    assert resolve(None, settings=chosen, credentials=ALL).full_name == "lab/m"
    assert resolve(" ", settings=chosen, credentials=ALL).full_name == "lab/m"


def test_without_a_name_the_first_of_what_is_there_is_taken(settings: ModelSettings, bare: ModelSettings) -> None:
    gemini = Credentials.parse({"gemini": {"api_key": "k"}})
    assert resolve(None, settings=settings, credentials=ALL).provider == "anthropic"
    assert resolve(None, settings=settings, credentials=gemini).provider == "gemini"
    assert resolve(None, settings=settings, credentials=NONE).full_name == "ollama/qwen3:8b"
    put_local_model(bare.directory())
    assert resolve(None, settings=bare, credentials=NONE).full_name == "local/smollm2"


def test_with_nothing_at_all_the_ways_on_are_told(bare: ModelSettings) -> None:
    with pytest.raises(ProviderNotConfigured) as caught:
        resolve(None, settings=bare, credentials=NONE)
    for way in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "rkat models pull smollm2", "[servers."):
        assert way in caught.value.hint


@pytest.mark.parametrize(
    ("model", "variable"),
    [("claude-opus-5", "ANTHROPIC_API_KEY"), ("gpt-5.4", "OPENAI_API_KEY"), ("gemini-3.5-flash", "GOOGLE_API_KEY")],
)
def test_a_named_model_without_a_key_names_the_variables(bare: ModelSettings, model: str, variable: str) -> None:
    with pytest.raises(ProviderNotConfigured) as caught:
        resolve(model, settings=bare, credentials=NONE)
    assert variable in caught.value.details["environment"]
    assert variable in caught.value.hint


def test_a_provider_on_this_machine_needs_no_key(bare: ModelSettings) -> None:
    there = Credentials.parse({"openai": {"base_url": "http://127.0.0.1:8080/v1"}})
    endpoint = resolve("gpt-5.4", settings=bare, credentials=there)
    assert (endpoint.api_key, endpoint.is_openai) == (None, False)


@pytest.mark.parametrize(
    ("model", "nearest"), [("claud-opus-5", "claude-opus-5"), ("gtp-5.4", "gpt-5.4"), ("smolm2", "smollm2")]
)
def test_a_name_that_tells_nothing_is_refused_with_the_nearest_ones(
    bare: ModelSettings, model: str, nearest: str
) -> None:
    with pytest.raises(InvalidParams) as caught:
        resolve(model, settings=bare, credentials=ALL)
    assert nearest in caught.value.details["nearest"]


def test_an_unknown_provider_is_refused_with_the_known_ones(settings: ModelSettings) -> None:
    with pytest.raises(InvalidParams) as caught:
        resolve("m", provider="nobody", settings=settings, credentials=ALL)
    assert "ollama" in caught.value.details["known"]


def test_a_server_without_a_default_model_wants_one_named(settings: ModelSettings) -> None:
    with pytest.raises(InvalidParams):
        resolve(None, provider="lab", settings=settings, credentials=NONE)


def test_a_local_model_that_was_not_pulled_says_how(bare: ModelSettings) -> None:
    with pytest.raises(ProviderNotConfigured) as caught:
        resolve("smollm2", settings=bare, credentials=NONE)
    assert "rkat models pull smollm2" in caught.value.hint


def test_any_gguf_file_is_a_local_model_by_its_path(bare: ModelSettings, tmp_path: Path) -> None:
    path = tmp_path / "my model.gguf"
    path.write_bytes(b"GGUF")
    for name in (str(path), f"local/{path}"):
        endpoint = resolve(name, settings=bare, credentials=NONE)
        assert (endpoint.kind, endpoint.base_url, endpoint.model) == ("local", str(path), "my model")
    assert resolve(endpoint.full_name, settings=bare, credentials=NONE) == endpoint


@pytest.mark.parametrize("name", ["local/nothing", "local/../x.gguf", "relative.gguf"])
def test_a_local_name_that_is_no_path_and_not_known_is_refused(bare: ModelSettings, name: str) -> None:
    with pytest.raises(InvalidParams):
        resolve(name, settings=bare, credentials=NONE)


@pytest.mark.parametrize(
    ("provider", "written", "used"),
    [
        ("anthropic", "http://127.0.0.1:1/v1", "http://127.0.0.1:1"),
        ("anthropic", "http://127.0.0.1:1/anthropic/", "http://127.0.0.1:1/anthropic"),
        ("openai", "http://127.0.0.1:1", "http://127.0.0.1:1/v1"),
        ("openai", "http://127.0.0.1:1/v1/", "http://127.0.0.1:1/v1"),
        ("gemini", "http://127.0.0.1:1/v1beta", "http://127.0.0.1:1"),
    ],
)
def test_base_urls_work_as_people_write_them(bare: ModelSettings, provider: str, written: str, used: str) -> None:
    credentials = Credentials.parse({provider: {"api_key": "k", "base_url": written}})
    assert resolve(None, provider=provider, settings=bare, credentials=credentials).base_url == used


def test_only_openai_itself_counts_as_openai(bare: ModelSettings) -> None:
    assert resolve("gpt-5.4", settings=bare, credentials=ALL).is_openai
    moved = Credentials.parse({"openai": {"api_key": "k", "base_url": "https://gateway.example/v1"}})
    assert not resolve("gpt-5.4", settings=bare, credentials=moved).is_openai


def test_a_server_never_gets_a_providers_key(settings: ModelSettings) -> None:
    assert resolve("ollama/gpt-5.4", settings=settings, credentials=ALL).api_key is None


def test_the_catalog_lists_providers_servers_and_local_models(settings: ModelSettings) -> None:
    rows = {row["provider"]: row for row in catalog(settings)}
    assert list(rows) == ["anthropic", "openai", "gemini", "self_hosted", "local"]
    for row in rows.values():
        assert row["default_model_id"] in [model["id"] for model in row["models"]]
        assert all({"id", "display_name", "tier"} <= set(model) for model in row["models"])
    assert rows["self_hosted"]["models"][0]["server_id"] == "ollama"


def test_each_hosted_provider_has_a_recommended_default() -> None:
    for provider in BASE_URLS:
        row = find(default_model_id(provider))
        assert row is not None
        assert row.tier == "recommended"
    assert len({row.id for row in CATALOG}) == len(CATALOG)


def test_variables_of_our_own_come_first_and_empty_ones_do_not_count() -> None:
    environ = {
        "ANTHROPIC_API_KEY": "theirs",
        "RKAT_ANTHROPIC_API_KEY": "ours",
        "RKAT_OPENAI_API_KEY": " ",
        "OPENAI_API_KEY": "theirs\n",
        "GOOGLE_API_KEY": "g",
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        "GEMINI_API_KEY": "",
    }
    assert from_environment(environ) == {
        "anthropic": {"api_key": "ours"},
        "openai": {"api_key": "theirs", "base_url": "http://127.0.0.1:1/v1"},
        "gemini": {"api_key": "g"},
    }


def test_an_earlier_source_wins_field_by_field() -> None:
    connection = Credentials.parse({"openai": {"api_key": "today"}})
    config = Credentials.parse({"openai": {"api_key": "old", "base_url": "https://gateway.example/v1"}})
    access = Credentials.merge(connection, config, NONE).get("openai")
    assert (access.api_key, access.base_url) == ("today", "https://gateway.example/v1")


def test_no_repr_shows_a_key(settings: ModelSettings) -> None:
    endpoint = resolve("claude-opus-5", settings=settings, credentials=ALL)
    shown: list[object] = [ALL, ALL.get("openai"), endpoint, settings, SERVERS["lab"]]
    assert isinstance(endpoint, Endpoint)
    assert not [each for each in shown if "key-of" in repr(each) or "key-of" in str(each)]


@pytest.mark.parametrize(
    "value",
    [
        {"nobody": {}},
        {"openai": "secret-value"},
        {"openai": {"token": "secret-value"}},
        {"openai": {"api_key": 3}},
        {"openai": {"api_key": "secret-value\nx-evil: 1"}},
        {"openai": {"api_key": "secret-välue"}},
        {"openai": {"base_url": "file:///secret-value"}},
    ],
)
def test_credentials_that_cannot_be_used_are_refused_without_repeating_them(value: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams) as caught:
        Credentials.parse(value)
    assert "secret-v" not in f"{caught.value.message} {caught.value.details}"
