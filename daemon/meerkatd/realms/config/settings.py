"""From config documents to what agents are built with: defaults, then the user's config, then the realm's."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from meerkat_client.wire.credentials import PROVIDERS

from ...agent.agents import AgentDefaults
from ...agent.context import CompactionSettings
from ...agent.credentials import Credentials, ProviderAccess
from ...agent.limits import Limits, RealmLimits
from ...agent.models import ModelSettings, ServerSettings
from ...agent.prices import Price, Rates
from ...agent.providers import RetryPolicy, Timeouts
from ...agent.realm_agents import AgentSettings
from ...agent.tools.builtin.shell import MARGIN_SECONDS, ShellSettings
from ...agent.tools.builtin.shell import MAX_SECONDS as MAX_SHELL_SECONDS
from ...agent.tools.mcp.spec import ServerSpec
from ...agent.tools.settings import ToolSettings
from ...contract.budget import amounts
from ...contract.config_document import ConfigDocument, PriceSection
from ...errors import ConfigInvalid, MeerkatError
from .cell import ConfigCell, ConfigVersion
from .check import ConfigFault, check_document
from .files import ABSENT, Stamp, read_text_file, stamp
from .merge_patch import merge_patch
from .user import UserConfig

# Some 60,000 tokens; a longer system prompt is a file named by mistake.
MAX_PROMPT_BYTES = 256 * 1024
_PROMPTS = ("system_prompt", "system_prompt_file")


def layered(user: Mapping[str, Any], realm: Mapping[str, Any]) -> dict[str, Any]:
    """The user's config with the realm's on top, key by key. The realm's system prompt replaces the user's, whichever
    of its two spellings each of them uses."""
    agent = realm.get("agent", {})
    if any(key in agent for key in _PROMPTS):
        beneath = {key: value for key, value in user.get("agent", {}).items() if key not in _PROMPTS}
        user = {**user, "agent": beneath}
    merged: dict[str, Any] = merge_patch(user, realm)
    return merged


def with_defaults(merged: Mapping[str, Any]) -> dict[str, Any]:
    """`merged` with every key that has a default, for people who want to see what counts."""
    full: dict[str, Any] = merge_patch(_defaults(), merged)
    return full


def _defaults() -> dict[str, Any]:
    retry, timeouts, agents, tools = RetryPolicy(), Timeouts(), AgentDefaults(), ToolSettings()
    compaction = agents.compaction
    return {
        "agent": {
            "max_model_calls": agents.max_model_calls,
            "structured_output_retries": agents.structured_output_retries,
            "project_instructions": agents.project_instructions,
        },
        "retry": {
            "max_retries": retry.max_retries,
            "initial_delay": retry.initial_delay,
            "max_delay": retry.max_delay,
            "multiplier": retry.multiplier,
        },
        "timeouts": {
            "call": "disabled" if timeouts.call is None else timeouts.call,
            "idle": timeouts.idle,
            "connect": timeouts.connect,
        },
        "limits": {"period": RealmLimits().period},
        "compaction": {
            "recent_turn_budget": compaction.recent_turns,
            "max_summary_tokens": compaction.max_summary_tokens,
            "min_turns_between_compactions": compaction.min_calls,
        },
        "tools": {
            "callback_timeout": tools.callback_timeout,
            "default_timeout": tools.default_timeout,
            "max_concurrent": agents.max_concurrent_tools,
        },
        "shell": {"timeout": tools.shell.timeout},
    }


def agent_settings(document: ConfigDocument, *, generation: int, file_prompt: str | None = None) -> AgentSettings:
    """What a merged document means. `file_prompt` is what its `system_prompt_file` holds."""
    agent, tools, call = document.agent, document.tools, document.timeouts.call
    system_prompt = agent.system_prompt if agent.system_prompt is not None else file_prompt
    return AgentSettings(
        models=ModelSettings(
            default_model=agent.model,
            servers={
                name: ServerSettings(
                    base_url=each.base_url,
                    api_key=each.api_key,
                    default_model=each.default_model,
                    context_window=each.context_window,
                )
                for name, each in document.servers.items()
            },
        ),
        defaults=AgentDefaults(
            generation=generation,
            system_prompt=system_prompt,
            max_tokens=agent.max_tokens_per_turn,
            temperature=agent.temperature,
            provider_params=agent.provider_params,
            tools=tools.level,
            turn_limits=Limits(**amounts(document.budget)),
            realm_limits=RealmLimits(
                limits=Limits(**amounts(document.limits)), **_given(period=document.limits.period)
            ),
            prices={name: _price(each) for name, each in document.prices.items()},
            tool_instructions=agent.tool_instructions,
            compaction=_compaction(document),
            **_given(
                max_model_calls=agent.max_model_calls,
                max_concurrent_tools=tools.max_concurrent,
                structured_output_retries=agent.structured_output_retries,
                project_instructions=agent.project_instructions,
            ),
        ),
        credentials=_credentials(document),
        retry=RetryPolicy(**_given(**dict(document.retry))),
        timeouts=Timeouts(
            **_given(idle=document.timeouts.idle, connect=document.timeouts.connect),
            call=None if call is None or math.isinf(call) else call,
        ),
        tools=_tool_settings(document),
    )


def _tool_settings(document: ConfigDocument) -> ToolSettings:
    tools, shell = document.tools, document.shell
    settings = ToolSettings(
        timeouts=tools.tool_timeouts,
        policy=tools.policy,
        servers={name: ServerSpec.of(name, server) for name, server in document.mcp.servers.items()},
        **_given(callback_timeout=tools.callback_timeout, default_timeout=tools.default_timeout),
    )
    longest = max(MARGIN_SECONDS, min(MAX_SHELL_SECONDS, settings.timeout_of("shell") - MARGIN_SECONDS))
    return replace(
        settings, shell=ShellSettings(program=shell.program, max_timeout=longest, **_given(timeout=shell.timeout))
    )


def _price(section: PriceSection) -> Price:
    return Price(tiers=((0, Rates.per_million(dict(section))),))


def _compaction(document: ConfigDocument) -> CompactionSettings:
    section = document.compaction
    threshold = section.auto_compact_threshold
    automatic = threshold is None or not math.isinf(threshold)
    return CompactionSettings(
        threshold=None if threshold is None or not automatic else int(threshold),
        automatic=automatic,
        **_given(
            recent_turns=section.recent_turn_budget,
            max_summary_tokens=section.max_summary_tokens,
            min_calls=section.min_turns_between_compactions,
        ),
    )


def _credentials(document: ConfigDocument) -> Credentials:
    keys, urls = document.providers.api_keys, document.providers.base_urls
    known = {
        name: ProviderAccess(api_key=getattr(keys, name), base_url=getattr(urls, name))
        for name in PROVIDERS
        if getattr(keys, name) or getattr(urls, name)
    }
    return Credentials(MappingProxyType(known))


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


class RealmSettings:
    """What agents of one realm are built with, right now. Asked at each use; it looks at three files' stamps.

    Args:
        cell: the realm's config.
        user: the user's own config, beneath it.
    """

    def __init__(self, cell: ConfigCell, user: UserConfig) -> None:
        self._cell = cell
        self._user = user
        self._seen: tuple[ConfigVersion, ConfigVersion, Stamp] | None = None
        self._settings = AgentSettings()

    def get(self) -> AgentSettings:
        """The settings; with `problem` those of the last good config, for turns that run already."""
        try:
            version, user = self._cell.look(), self._user.look()
            problem = version.problem or user.problem
            if problem is None:
                self._renew(version, user)
                return self._settings
        except (ConfigFault, MeerkatError) as error:
            problem = _problem(error)
        return replace(self._settings, problem=problem)

    def _renew(self, version: ConfigVersion, user: ConfigVersion) -> None:
        merged = layered(user.plain, version.plain)
        path = merged.get("agent", {}).get("system_prompt_file")
        prompt_stamp = ABSENT if path is None else _prompt_stamp(path)
        if self._is_seen(version, user, prompt_stamp):
            return
        self._settings = agent_settings(
            check_document(merged),
            generation=version.generation,
            file_prompt=None if path is None else _read_prompt(path),
        )
        self._seen = (version, user, prompt_stamp)

    def _is_seen(self, version: ConfigVersion, user: ConfigVersion, prompt: Stamp) -> bool:
        if self._seen is None or not prompt.settled:
            return False
        return self._seen[0] is version and self._seen[1] is user and self._seen[2] == prompt


def _prompt_stamp(path: str) -> Stamp:
    try:
        found = stamp(os.path.expanduser(path))
    except OSError as error:
        raise _no_prompt(path, "cannot be read") from error
    if found is ABSENT:
        raise _no_prompt(path, "does not exist")
    return found


def _read_prompt(path: str) -> str:
    try:
        data = read_text_file(os.path.expanduser(path), limit=MAX_PROMPT_BYTES)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise _no_prompt(path, "cannot be read") from error
    except UnicodeDecodeError as error:
        raise _no_prompt(path, "is not UTF-8 text") from error
    if len(data) > MAX_PROMPT_BYTES:
        raise _no_prompt(path, f"is longer than {MAX_PROMPT_BYTES // 1024} KiB")
    if "\0" in text:
        raise _no_prompt(path, "contains a NUL character")
    return text


def _no_prompt(path: str, what: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"agent.system_prompt_file of the config names {path}, which {what}.",
        details={"field": "agent.system_prompt_file", "path": path},
        hint="Put the file back, or change the config with `rkat config edit`.",
    )


def _problem(error: ConfigFault | MeerkatError) -> Callable[[], MeerkatError]:
    """Makes the error anew for each who is told: each adds to it what it knows."""
    if isinstance(error, ConfigFault):
        message = f"The user's config and the realm's do not fit together: {error}."
        return lambda: ConfigInvalid(message)
    return lambda: type(error)(error.message, details=error.details, hint=error.hint)
