"""What a connection through a door on TCP may not ask, although it has shown the door's token. No I/O.

A token can be stolen from a page, or a page be talked into asking things. So from there nobody gets at programs, files
or URLs of this machine: what names one of those is refused, and of the config only what is listed here can be written.
A list of what is allowed, because a new key must not be open to the web until somebody has thought about it.
"""

from collections.abc import Mapping
from typing import Any

from ..contract.config_document import ConfigDocument
from ..contract.tool import ToolLevel
from ..errors import PermissionDenied

_HINT = "Do it from a client of the Unix socket, such as rkat."
_STOPS = "it would end the daemon for everybody"
_FILES = "it writes or reads a file of this machine"
_PROGRAMS = "it names a program, a file or an address of this machine"
METHODS: Mapping[str, str] = {
    "approval/decide": "it may let a program run",
    "config/set": "it would take away what cannot be written from there, such as the policy of tools; use config/patch",
    "daemon/listen": "only a client of the Unix socket opens doors",
    "daemon/restart": _STOPS,
    "daemon/stop": _STOPS,
    "mcp/add": _PROGRAMS,
    "mcp/remove": _PROGRAMS,
    "realm/backup": _FILES,
    "realm/convert": "it takes a realm from others meanwhile",
    "realm/delete": "it takes a whole realm away",
    "realm/empty_trash": "it deletes for good",
    "realm/export": _FILES,
    "realm/import": _FILES,
    "realm/prune": "it takes whole realms away",
    "realm/restore_backup": _FILES,
}
# Params of any method that name what is not the web's business.
PARAMS = frozenset(("workspace", "enable_shell", "shell_env", "toml", "hooks_override"))
# How much built-in tools may do, for whoever asks from there, also in a session or by a config that has a higher level.
TOOL_LEVELS: tuple[ToolLevel, ...] = ("none", "safe")
# Of the config: sections, each with the keys that may be written.
CONFIG: Mapping[str, frozenset[str]] = {
    "agent": frozenset(("model", "system_prompt", "max_tokens_per_turn", "temperature", "max_model_calls")),
    "retry": frozenset(("max_retries", "initial_delay", "max_delay", "multiplier")),
    "timeouts": frozenset(("call", "idle", "connect")),
    "tools": frozenset(("callback_timeout", "max_concurrent")),
}


def check(method: str, params: Mapping[str, Any]) -> None:
    """Refuse what may not be asked from there.

    Args:
        params: as they came; they need not be well-formed.

    Raises:
        PermissionDenied: with the field, if it is one.
    """
    if method in METHODS:
        raise PermissionDenied(f"{method} cannot be asked over TCP: {METHODS[method]}.", hint=_HINT)
    for name in PARAMS.intersection(params):
        if params[name]:
            raise _refused(name)
    if params.get("tools") is not None and method != "tools/register" and params["tools"] not in TOOL_LEVELS:
        raise _refused("tools")
    if method == "initialize":
        _check_credentials(params.get("credentials"))
    elif method == "config/patch":
        _check_patch(params.get("patch"))


def _check_credentials(credentials: Any) -> None:
    # The rest of an access comes from the config and the daemon's environment: its key would go to that URL.
    for provider, access in _fields(credentials):
        fields = dict(_fields(access))
        if fields.get("base_url") and not fields.get("api_key"):
            raise _refused(f"credentials.{provider}.base_url", "a base URL needs a key of its own there")


def _check_patch(tree: Any) -> None:
    """What the document does not know is left to its schema, which refuses it with better words."""
    for section, keys in _fields(tree):
        known = ConfigDocument.model_fields.get(section)
        if known is None:
            continue
        # Anything but a table takes all of the section away, also what cannot be written.
        if section not in CONFIG or not isinstance(keys, Mapping):
            raise _refused(f"patch.{section}")
        inner: dict[str, Any] = getattr(known.annotation, "model_fields", {})
        for key, _ in _fields(keys):
            if key in inner and key not in CONFIG[section]:
                raise _refused(f"patch.{section}.{key}")


def _fields(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _refused(field: str, reason: str = _PROGRAMS) -> PermissionDenied:
    return PermissionDenied(f"{field} cannot be given over TCP: {reason}.", details={"field": field}, hint=_HINT)
