"""What gives a client more than a model's answers: fields that name programs, files or servers. No I/O.

Whoever sets a server's address is sent the keys; whoever names a prompt's file or a workspace reads it through the
model; whoever turns on the shell or adds an MCP server runs programs. A web door is the likeliest one to be opened by
somebody else, so such fields are taken over it only when `--allow-programs` was given. Of the config this is a list of
what is allowed, because a new key must not be open to the web until somebody has thought about it.

What a session or the config has already may stay: a client reads the config, changes something else, and writes it back
with the generation that it read.
"""

import tomllib
from collections.abc import Mapping
from typing import Any, Final

from meerkat_client.errors import RkatError
from meerkatd.contract.config_document import ConfigDocument

Tree = Mapping[str, Any]
Found = dict[str, Any]

# Of the config: sections, each with the keys that may be written; None for all of them.
ALLOWED: Final[Mapping[str, frozenset[str] | None]] = {
    "agent": frozenset(
        (
            *("model", "system_prompt", "max_tokens_per_turn", "temperature", "max_model_calls"),
            *("structured_output_retries", "tool_instructions"),
        )
    ),
    "providers": frozenset(("api_keys",)),
    "retry": None,
    "timeouts": None,
    "tools": frozenset(("callback_timeout", "max_concurrent", "default_timeout", "tool_timeouts")),
    "budget": None,
    "limits": None,
    "prices": None,
    "compaction": None,
}
# Values of any key that give no power: null deletes in a patch, the others are levels of built-in tools.
_HARMLESS: Final[tuple[Any, ...]] = (None, {}, "none", "safe")
# Of sessions and turns.
_IN_TURNS: Final = ("workspace", "tools", "enable_shell", "shell_env", "hooks_override")
_METHODS: Final[Mapping[str, str]] = {"mcp/add": "server_config"}


def powerful(document: Tree) -> Found:
    """The powerful keys that a document sets, by their paths. What the schema does not know is left to the daemon,
    which refuses it with better words."""
    found: Found = {}
    for section, keys in _fields(document):
        allowed = ALLOWED.get(section, frozenset())
        known = ConfigDocument.model_fields.get(section)
        if known is None or allowed is None:
            continue
        inner: Mapping[str, Any] | None = getattr(known.annotation, "model_fields", None)
        for key, value in _fields(keys):
            if key not in allowed and (inner is None or key in inner) and value not in _HARMLESS:
                found[f"{section}.{key}"] = value
    return found


def in_params(params: Tree) -> Found:
    """The powerful keys of a `config/set` or `config/patch`."""
    return powerful(_document(params))


def _document(params: Tree) -> Tree:
    if isinstance(toml := params.get("toml"), str):
        try:
            return tomllib.loads(toml)
        except tomllib.TOMLDecodeError:
            # The daemon says where.
            return {}
    return params.get("config") or params.get("patch") or {}


def leaves_policy_out(params: Tree) -> bool:
    """Whether a `config/set` or `config/patch` leaves no policy of tools behind, if there is one: without it, what a
    person is asked about would run unasked."""
    document = _document(params)
    tools = dict(_fields(document)).get("tools", {})
    if params.get("patch") is None:
        return not dict(_fields(tools)).get("policy")
    return tools is None or dict(_fields(tools)).get("policy", {}) is None


def refuse_without_policy(current: Tree) -> None:
    """Raises RkatError, PERMISSION_DENIED, when `current` has a policy of tools."""
    if dict(_fields(current.get("tools"))).get("policy"):
        raise _refused("tools.policy", hint="Use PATCH, `rkat config`, or start rkat-rest with --allow-programs.")


def refuse_new(wanted: Found, current: Tree, *, expected: int | None, generation: int) -> None:
    """Refuse powerful keys that are not there already.

    Args:
        expected: the generation that the write demands, so that what is compared here is what will be replaced.
        generation: of `current`.

    Raises:
        RkatError: PERMISSION_DENIED.
    """
    there = powerful(current)
    new = [path for path, value in wanted.items() if path not in there or there[path] != value]
    if new:
        raise _refused(new[0], hint="Use `rkat config`, or start rkat-rest with --allow-programs.")
    if expected != generation:
        raise _refused(
            next(iter(wanted)), hint="To keep what is there, send If-Match or expected_generation, or use PATCH."
        )


def refuse_in_call(method: str, params: Tree) -> None:
    """Refuse the powers that a session, a turn or a server would get.

    Raises:
        RkatError: PERMISSION_DENIED.
    """
    if method in _METHODS:
        raise _refused(_METHODS[method])
    for field in _IN_TURNS:
        value = params.get(field)
        if value is not False and value not in _HARMLESS:
            raise _refused(field)


def _fields(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _refused(field: str, *, hint: str = "Use another door, or start rkat-rest with --allow-programs.") -> RkatError:
    return RkatError(
        "PERMISSION_DENIED",
        f"{field} cannot be given over HTTP: it names, or lets a model at, programs, files or servers.",
        hint=hint,
        details={"field": field},
    )
