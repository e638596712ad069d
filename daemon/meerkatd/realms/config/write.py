"""The three ways to say a new config: a tree of values, a text, a merge patch. Each makes a `cell.Change`."""

from copy import deepcopy
from typing import Any

from .cell import Change, ConfigVersion
from .check import ConfigFault, check_document
from .merge_patch import merge_patch
from .secrets import NoSecretToKeep, restore
from .text import rewrite, with_secrets


def from_tree(tree: dict[str, Any]) -> Change:
    """Replace by the values of `tree`, keeping the comments of what stays."""

    def change(base: ConfigVersion) -> str:
        wanted = _with_secrets(deepcopy(tree), base)
        check_document(wanted)
        return rewrite(base.text, wanted)

    return change


def from_text(text: str) -> Change:
    """Replace by `text`, its comments included."""

    def change(base: ConfigVersion) -> str:
        try:
            return with_secrets(text, base.plain)
        except NoSecretToKeep as missing:
            raise _nothing_to_keep(missing) from None

    return change


def from_patch(patch: dict[str, Any]) -> Change:
    """Change by a JSON merge patch (RFC 7396)."""

    def change(base: ConfigVersion) -> str:
        wanted = _with_secrets(merge_patch(base.plain, patch), base)
        check_document(wanted)
        return rewrite(base.text, wanted)

    return change


def from_mcp_server(name: str, server: dict[str, Any] | None) -> Change:
    """Put one MCP server in, in place of what has its name, or take it out."""

    def change(base: ConfigVersion) -> str:
        wanted = deepcopy(dict(base.plain))
        servers = wanted.setdefault("mcp", {}).setdefault("servers", {})
        servers.pop(name, None)
        if server is not None:
            servers[name] = server
        check_document(wanted)
        return rewrite(base.text, wanted)

    return change


def _with_secrets(wanted: dict[str, Any], base: ConfigVersion) -> dict[str, Any]:
    try:
        restored: dict[str, Any] = restore(wanted, base.plain)
    except NoSecretToKeep as missing:
        raise _nothing_to_keep(missing) from None
    return restored


def _nothing_to_keep(missing: NoSecretToKeep) -> ConfigFault:
    return ConfigFault(missing.path, "there is no secret to keep; give it as text, or leave the key out")
