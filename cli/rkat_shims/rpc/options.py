"""The command line of `rkat-rpc`: the public contract's flags, by hand, because argparse costs each shim 10 ms.

A flag of the public contract that has no meaning here is accepted, so that stock clients can pass it, and what becomes
of it is told on stderr. One that asks for something that would be missed silently is refused.
"""

from collections.abc import Mapping
from typing import NamedTuple

from meerkat_client.errors import RkatError
from meerkat_client.wire.version import CONTRACT_VERSION, VERSION


class Options(NamedTuple):
    """What the command line says; None and False where it says nothing.

    Attributes:
        notes: for stderr: flags that have no effect.
        text: print this and end.
    """

    realm: str | None = None
    isolated: bool = False
    instance: str | None = None
    backend: str | None = None
    state_root: str | None = None
    default_model: str | None = None
    live_ws: str | None = None
    live_ws_origins: tuple[str, ...] = ()
    contract_version: str = CONTRACT_VERSION
    notes: tuple[str, ...] = ()
    text: str | None = None


class _Flag(NamedTuple):
    """One flag: the field of `Options` that it sets, or the reason why it is ignored or refused.

    Attributes:
        many: it may be given more than once, and each value counts.
    """

    field: str | None = None
    metavar: str | None = None
    help: str = ""
    ignored: str = ""
    refused: str = ""
    many: bool = False


_NO_LIVE = "there are no live channels here; everything else works"
_NO_TCP = "rkat-rpc speaks on stdin and stdout only"

FLAGS: dict[str, _Flag] = {
    "--realm": _Flag("realm", "ID", "Use this realm (default: a fresh one)."),
    "--isolated": _Flag("isolated", None, "Use a fresh realm of its own."),
    "--instance": _Flag("instance", "ID", "Name this client within the realm."),
    "--realm-backend": _Flag("backend", "NAME", "Backend of a new realm: sqlite, jsonl, redb or memory."),
    "--state-root": _Flag("state_root", "DIR", "Use the daemon of this state root."),
    "--default-model": _Flag("default_model", "MODEL", "Model of a session/create that names none."),
    "--contract-version": _Flag(
        "contract_version", "X.Y.Z", f"Announce this contract (default {CONTRACT_VERSION}; MEERKAT_CONTRACT_VERSION)."
    ),
    "--context-root": _Flag(
        None, "DIR", ignored="the realm is chosen by --realm, and no other thing here depends on a folder"
    ),
    "--user-config-root": _Flag(
        None, "DIR", ignored="the user's config is the daemon's; MEERKAT_USER_CONFIG names it when the daemon starts"
    ),
    "--live-ws": _Flag("live_ws", "ADDR", "Open a WebSocket on loopback, such as 127.0.0.1:0; stderr tells where."),
    "--live-ws-origin": _Flag(
        "live_ws_origins", "ORIGIN", "Let web pages of this origin use it; may be repeated.", many=True
    ),
    "--live-ws-scheme": _Flag(None, "SCHEME", ignored="the WebSocket is ws:// on this machine, and nothing else"),
    "--live-webrtc": _Flag(None, None, ignored=_NO_LIVE),
    "--live-tool-timeout-ms": _Flag(None, "MS", ignored=_NO_LIVE),
    "--tcp": _Flag(None, "ADDR", refused=_NO_TCP),
    "--allow-remote": _Flag(None, None, refused=_NO_TCP),
}
_SHORT = {"-r": "--realm", "-h": "--help", "-V": "--version"}


def parse(arguments: list[str], environ: Mapping[str, str]) -> Options:
    """The options of a command line.

    Raises:
        RkatError: INVALID_PARAMS.
    """
    found: dict[str, str | bool | tuple[str, ...]] = {}
    notes = []
    waiting = list(reversed(arguments))
    while waiting:
        name, equals, value = waiting.pop().partition("=")
        name = _SHORT.get(name, name)
        if name == "--help":
            return Options(text=usage())
        if name == "--version":
            return Options(text=f"rkat-rpc {VERSION}")
        flag = FLAGS.get(name)
        if flag is None:
            raise _invalid(f"rkat-rpc has no argument {name!r}.")
        if flag.refused:
            raise _invalid(f"{name} is not available: {flag.refused}.")
        if bool(equals) and flag.metavar is None:
            raise _invalid(f"{name} takes no value.")
        if flag.metavar is not None and not equals:
            if not waiting:
                raise _invalid(f"{name} needs a value.")
            value = waiting.pop()
        if flag.field is None:
            notes.append(f"{name} has no effect: {flag.ignored}.")
        elif flag.metavar is not None and not value:
            raise _invalid(f"{name} needs a value that is not empty.")
        elif flag.many:
            found[flag.field] = (*found.get(flag.field, ()), value)  # type: ignore[misc]
        else:
            found[flag.field] = value if flag.metavar is not None else True
    if "realm" in found and "isolated" in found:
        raise _invalid("--realm and --isolated cannot be used together: each of them chooses the realm.")
    if "live_ws_origins" in found and "live_ws" not in found:
        raise _invalid("--live-ws-origin says who may use what --live-ws opens, and that is not given.")
    found.setdefault("contract_version", environ.get("MEERKAT_CONTRACT_VERSION", "").strip() or CONTRACT_VERSION)
    return Options(notes=tuple(notes), **found)  # type: ignore[arg-type]


def _invalid(message: str) -> RkatError:
    return RkatError("INVALID_PARAMS", message, hint="`rkat-rpc --help` shows what it takes.")


def usage() -> str:
    """The text of --help."""
    lines = ["Usage: rkat-rpc [OPTIONS]", "", "JSON-RPC 2.0 on stdin and stdout, one JSON object a line.", ""]
    for name, flag in FLAGS.items():
        if flag.help:
            left = f"{'-r, ' if name == '--realm' else ''}{name} {flag.metavar or ''}"
            lines.append(f"  {left:<28} {flag.help}")
    accepted = " ".join(name for name, flag in FLAGS.items() if flag.ignored)
    return "\n".join([*lines, "", f"Accepted without effect: {accepted}."])
