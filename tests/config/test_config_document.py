"""The schema: what it takes, what it refuses and how, and that every key of it has an effect."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkatd.agent.realm_agents import AgentSettings
from meerkatd.contract.config_document import RESERVED_SERVERS, json_schema
from meerkatd.contract.duration import seconds
from meerkatd.realms.config.check import ConfigFault, check_document
from meerkatd.realms.config.secrets import SECRETS, redact, restore
from meerkatd.realms.config.settings import agent_settings, layered, with_defaults


def settings_of(document: dict[str, Any], *, file_prompt: str | None = None) -> AgentSettings:
    return agent_settings(check_document(document), generation=7, file_prompt=file_prompt)


HOME = {"base_url": "http://127.0.0.1:1/v1"}
Effect = tuple[str, dict[str, Any], Callable[[AgentSettings], Any], Any]
# (key of the schema, a document that sets it, what it changes, to which value)
EFFECTS: list[Effect] = [
    ("agent.model", {"agent": {"model": "gpt-5"}}, lambda s: s.models.default_model, "gpt-5"),
    ("agent.system_prompt", {"agent": {"system_prompt": "Be brief."}}, lambda s: s.defaults.system_prompt, "Be brief."),
    ("agent.system_prompt_file", {"agent": {"system_prompt_file": "/p"}}, lambda s: s.defaults.system_prompt, "FILE"),
    ("agent.max_tokens_per_turn", {"agent": {"max_tokens_per_turn": 9}}, lambda s: s.defaults.max_tokens, 9),
    ("agent.temperature", {"agent": {"temperature": 0.5}}, lambda s: s.defaults.temperature, 0.5),
    ("agent.max_model_calls", {"agent": {"max_model_calls": 3}}, lambda s: s.defaults.max_model_calls, 3),
    (
        "compaction.auto_compact_threshold",
        {"compaction": {"auto_compact_threshold": 5000}},
        lambda s: s.defaults.compaction.threshold,
        5000,
    ),
    (
        "compaction.recent_turn_budget",
        {"compaction": {"recent_turn_budget": 2}},
        lambda s: s.defaults.compaction.recent_turns,
        2,
    ),
    (
        "compaction.max_summary_tokens",
        {"compaction": {"max_summary_tokens": 100}},
        lambda s: s.defaults.compaction.max_summary_tokens,
        100,
    ),
    (
        "compaction.min_turns_between_compactions",
        {"compaction": {"min_turns_between_compactions": 9}},
        lambda s: s.defaults.compaction.min_calls,
        9,
    ),
    (
        "agent.tool_instructions",
        {"agent": {"tool_instructions": "Look first."}},
        lambda s: s.defaults.tool_instructions,
        "Look first.",
    ),
    (
        "agent.project_instructions",
        {"agent": {"project_instructions": True}},
        lambda s: s.defaults.project_instructions,
        True,
    ),
    (
        "agent.structured_output_retries",
        {"agent": {"structured_output_retries": 5}},
        lambda s: s.defaults.structured_output_retries,
        5,
    ),
    ("agent.provider_params", {"agent": {"provider_params": {"x": 1}}}, lambda s: s.defaults.provider_params, {"x": 1}),
    *(
        effect
        for name in ("anthropic", "openai", "gemini")
        for effect in (
            (
                f"providers.base_urls.{name}",
                {"providers": {"base_urls": {name: "http://127.0.0.1:2"}}},
                lambda s, name=name: s.credentials.get(name).base_url,
                "http://127.0.0.1:2",
            ),
            (
                f"providers.api_keys.{name}",
                {"providers": {"api_keys": {name: "sk-1"}}},
                lambda s, name=name: s.credentials.get(name).api_key,
                "sk-1",
            ),
        )
    ),
    ("servers.*.base_url", {"servers": {"home": HOME}}, lambda s: s.models.servers["home"].base_url, HOME["base_url"]),
    (
        "servers.*.api_key",
        {"servers": {"home": {**HOME, "api_key": "sk-2"}}},
        lambda s: s.models.servers["home"].api_key,
        "sk-2",
    ),
    (
        "servers.*.context_window",
        {"servers": {"home": {**HOME, "context_window": 8192}}},
        lambda s: s.models.servers["home"].context_window,
        8192,
    ),
    (
        "servers.*.default_model",
        {"servers": {"home": {**HOME, "default_model": "m"}}},
        lambda s: s.models.servers["home"].default_model,
        "m",
    ),
    ("retry.max_retries", {"retry": {"max_retries": 0}}, lambda s: s.retry.max_retries, 0),
    ("retry.initial_delay", {"retry": {"initial_delay": "250ms"}}, lambda s: s.retry.initial_delay, 0.25),
    ("retry.max_delay", {"retry": {"max_delay": "1m"}}, lambda s: s.retry.max_delay, 60.0),
    ("retry.multiplier", {"retry": {"multiplier": 3}}, lambda s: s.retry.multiplier, 3.0),
    ("timeouts.call", {"timeouts": {"call": "2m"}}, lambda s: s.timeouts.call, 120.0),
    ("timeouts.idle", {"timeouts": {"idle": 5}}, lambda s: s.timeouts.idle, 5.0),
    ("timeouts.connect", {"timeouts": {"connect": "1.5s"}}, lambda s: s.timeouts.connect, 1.5),
    ("tools.callback_timeout", {"tools": {"callback_timeout": "7s"}}, lambda s: s.tools.callback_timeout, 7.0),
    ("tools.default_timeout", {"tools": {"default_timeout": "7s"}}, lambda s: s.tools.timeout_of("any"), 7.0),
    ("tools.tool_timeouts.*", {"tools": {"tool_timeouts": {"a": 7}}}, lambda s: s.tools.timeout_of("a"), 7.0),
    ("tools.policy.*", {"tools": {"policy": {"a*": "ask"}}}, lambda s: s.tools.policy.get("a*"), "ask"),
    ("tools.level", {"tools": {"level": "full"}}, lambda s: s.defaults.tools, "full"),
    ("shell.program", {"shell": {"program": "/bin/zsh"}}, lambda s: s.tools.shell.program, "/bin/zsh"),
    ("shell.timeout", {"shell": {"timeout": 7}}, lambda s: s.tools.shell.timeout, 7.0),
    *(
        (
            f"mcp.servers.*.{key}",
            {"mcp": {"servers": {"one": {**base, name: value}}}},
            lambda s, name=name: getattr(s.tools.servers.get("one"), name, None),
            tuple(value) if isinstance(value, list) else value,
        )
        for key, base, value in (
            ("command", {}, "run"),
            ("args", {"command": "run"}, ["x"]),
            ("env.*", {"command": "run"}, {"A": "b"}),
            ("cwd", {"command": "run"}, "/tmp"),
            ("url", {}, "http://127.0.0.1:1/mcp"),
            ("headers.*", {"url": "http://127.0.0.1:1/mcp"}, {"A": "b"}),
            ("startup_timeout", {"command": "run"}, 3.0),
        )
        for name in (key.removesuffix(".*"),)
    ),
    ("budget.max_tokens", {"budget": {"max_tokens": 9}}, lambda s: s.defaults.turn_limits.tokens, 9),
    ("budget.max_duration", {"budget": {"max_duration": "2s"}}, lambda s: s.defaults.turn_limits.time, 2000),
    ("budget.max_tool_calls", {"budget": {"max_tool_calls": 0}}, lambda s: s.defaults.turn_limits.tool_calls, 0),
    ("budget.max_cost", {"budget": {"max_cost": 0.25}}, lambda s: s.defaults.turn_limits.cost, 250_000_000),
    ("limits.budget", {"limits": {"budget": 9}}, lambda s: s.defaults.realm_limits.limits.tokens, 9),
    ("limits.max_duration", {"limits": {"max_duration": 2}}, lambda s: s.defaults.realm_limits.limits.time, 2000),
    (
        "limits.max_tool_calls",
        {"limits": {"max_tool_calls": 3}},
        lambda s: s.defaults.realm_limits.limits.tool_calls,
        3,
    ),
    ("limits.max_cost", {"limits": {"max_cost": 1}}, lambda s: s.defaults.realm_limits.limits.cost, 10**9),
    ("limits.period", {"limits": {"period": "day"}}, lambda s: s.defaults.realm_limits.period, "day"),
    *(
        (
            f"prices.*.{name}",
            {"prices": {"m": {"input": 0, "output": 0, name: 2.5}}},
            lambda s, name=name: getattr(s.defaults.prices["m"].rates(1), name) if s.defaults.prices else None,
            2_500_000,
        )
        for name in ("input", "output", "cache_read", "cache_write")
    ),
    ("tools.max_concurrent", {"tools": {"max_concurrent": 2}}, lambda s: s.defaults.max_concurrent_tools, 2),
]


@pytest.mark.parametrize(("key", "document", "effect", "value"), EFFECTS, ids=[each[0] for each in EFFECTS])
def test_every_key_has_its_effect(
    key: str, document: dict[str, Any], effect: Callable[[AgentSettings], Any], value: Any
):
    prompt = "FILE" if key == "agent.system_prompt_file" else None
    if key != "servers.*.base_url" and not key.startswith("servers"):
        assert effect(settings_of({})) != value
    assert effect(settings_of(document, file_prompt=prompt)) == value


def test_no_key_of_the_schema_is_without_an_effect():
    assert {".".join(path) for path, _ in leaves(json_schema())} == {key for key, *_ in EFFECTS}


def test_the_secrets_are_those_that_the_schema_calls_write_only():
    marked = {path for path, node in leaves(json_schema()) if node.get("writeOnly")}
    # The providers are known by name; elsewhere `*` stands for any.
    names = {"providers": ("anthropic", "openai", "gemini")}
    listed = {(*pattern[:-1], name) for pattern in SECRETS for name in names.get(pattern[0], pattern[-1:])}
    assert marked == listed


def leaves(schema: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    def walk(node: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
        if "$ref" in node:
            node = {**schema["$defs"][node["$ref"].rsplit("/", 1)[1]], "writeOnly": node.get("writeOnly")}
        if "properties" in node:
            for name, each in node["properties"].items():
                yield from walk(each, (*path, name))
        elif isinstance(each := node.get("additionalProperties"), dict):
            yield from walk(each, (*path, "*"))
        elif "patternProperties" in node:
            yield from walk(next(iter(node["patternProperties"].values())), (*path, "*"))
        else:
            yield path, node

    yield from walk(schema, ())


def test_the_schema_speaks_of_no_null():
    assert "null" not in repr(json_schema())


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"agent": {"modle": "x"}}, "agent.modle", "'model'"),
    ({"model": "x"}, "model", "'agent.model'"),
    ({"agents": {}}, "agents", "'agent'"),
    ({"agent": {"temperature": "hot"}}, "agent.temperature", ""),
    ({"agent": {"temperature": 3}}, "agent.temperature", ""),
    ({"agent": {"temperature": None}}, "agent.temperature", "leave the key out"),
    ({"agent": {"provider_params": {"stop": [None]}}}, "agent.provider_params.stop.0", "leave the key out"),
    ({"agent": {"max_tokens_per_turn": True}}, "agent.max_tokens_per_turn", ""),
    ({"agent": {"max_tokens_per_turn": 0}}, "agent.max_tokens_per_turn", ""),
    ({"agent": {"system_prompt": "x", "system_prompt_file": "/x"}}, "agent", "together"),
    ({"agent": {"system_prompt_file": "prompt.txt"}}, "agent.system_prompt_file", "absolute"),
    ({"agent": "x"}, "agent", ""),
    ({"providers": {"api_keys": {"openai": "sk\n"}}}, "providers.api_keys.openai", "ASCII"),
    ({"providers": {"api_keys": {"mistral": "x"}}}, "providers.api_keys.mistral", "known are"),
    ({"providers": {"base_urls": {"openai": "ftp://x"}}}, "providers.base_urls.openai", "http"),
    ({"providers": {"base_urls": {"openai": "http://me:pw@x"}}}, "providers.base_urls.openai", "password"),
    ({"servers": {"home": {}}}, "servers.home.base_url", "required"),
    ({"servers": {"home": {"base_url": "http://x", "key": "s"}}}, "servers.home.key", "'api_key'"),
    ({"servers": {"a b": HOME}}, "servers.a b", ""),
    *(({"servers": {name: HOME}}, f"servers.{name}", "meaning") for name in sorted(RESERVED_SERVERS)),
    ({"timeouts": {"idle": "disabled"}}, "timeouts.idle", "30s"),
    ({"timeouts": {"call": 0}}, "timeouts.call", ""),
    ({"tools": {"callback_timeout": "30 parsecs"}}, "tools.callback_timeout", "30s"),
    ({"retry": {"initial_delay": -1}}, "retry.initial_delay", ""),
]


@pytest.mark.parametrize(("document", "path", "said"), BAD, ids=[f"{path} {said}" for _, path, said in BAD])
def test_what_is_wrong_is_refused_by_its_path(document: dict[str, Any], path: str, said: str):
    with pytest.raises(ConfigFault) as caught:
        check_document(document)
    assert ".".join(caught.value.path) == path
    assert said in caught.value.what


def test_no_error_repeats_a_secret():
    for bad in ("sk-CANARY\u20ac", "sk-CANARY ", 17, ["sk-CANARY"], {"secret": "sk-CANARY"}, "sk-CANARY" * 2000):
        with pytest.raises(ConfigFault) as caught:
            check_document({"providers": {"api_keys": {"openai": bad}}})
        assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("500ms", 0.5), ("30s", 30.0), ("2m", 120.0), ("1h", 3600.0), ("1.5s", 1.5), (3, 3.0), (0.1, 0.1)],
)
def test_a_duration_is_text_with_a_unit_or_seconds(text: Any, value: float):
    assert seconds(text) == value


@pytest.mark.parametrize("bad", ["", "30", "s", "1d", "-1s", "1e3s", "٣s", True, None, [], float("nan"), float("inf")])
def test_anything_else_is_no_duration(bad: Any):
    with pytest.raises(ValueError, match="must be"):
        seconds(bad)


def test_disabled_means_no_limit_for_a_call():
    assert settings_of({"timeouts": {"call": "disabled"}}).timeouts.call is None


def test_the_realm_wins_over_the_user_key_by_key():
    user = {"agent": {"model": "gpt-5", "temperature": 1}, "servers": {"home": HOME}}
    realm = {"agent": {"model": "claude-opus-5"}, "servers": {"work": HOME}}
    assert layered(user, realm) == {
        "agent": {"model": "claude-opus-5", "temperature": 1},
        "servers": {"home": HOME, "work": HOME},
    }


def test_the_realms_system_prompt_replaces_the_users_in_either_spelling():
    user = {"agent": {"system_prompt": "user's"}}
    assert layered(user, {"agent": {"system_prompt_file": "/p"}}) == {"agent": {"system_prompt_file": "/p"}}
    assert layered(user, {"agent": {}}) == user


def test_what_is_effective_is_a_valid_document():
    effective = with_defaults({"agent": {"model": "gpt-5"}})
    assert check_document(effective).agent.model == "gpt-5"
    assert settings_of(effective).timeouts == settings_of({}).timeouts
    assert settings_of(effective).retry == settings_of({}).retry


keys = st.sampled_from(["providers", "api_keys", "servers", "openai", "home", "api_key", "x"])
anything = st.dictionaries(
    keys, st.recursive(st.text("sk", max_size=2), lambda each: st.dictionaries(keys, each, max_size=3)), max_size=3
)


@given(anything)
def test_a_redacted_document_can_be_written_back(document: dict[str, Any]):
    from copy import deepcopy

    assert restore(redact(deepcopy(document)), document) == document
