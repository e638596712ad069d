"""The command line of `rkat-mcp`: the public contract's flags, and the folder whose realm is meant.

A flag of the public contract that has no meaning here is accepted, and what becomes of it is told on stderr.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from meerkat_client.errors import RkatError
from meerkat_client.options import ConnectOptions
from meerkat_client.wire.version import VERSION

NAME = "rkat-mcp"

_IGNORED = {
    "--context-root": "the realm is chosen by --realm or --workspace, and no other thing here depends on a folder",
    "--user-config-root": "the user's config is the daemon's; MEERKAT_USER_CONFIG names it when the daemon starts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says.

    Attributes:
        workspace: use the realm of this folder, as `rkat` does when it is run there.
        default_model: of sessions that name none.
        expose_paths: show paths of this machine in results.
        notes: for stderr: flags that have no effect.
    """

    realm: str | None = None
    workspace: str | None = None
    isolated: bool = False
    instance: str | None = None
    backend: str | None = None
    state_root: str | None = None
    default_model: str | None = None
    expose_paths: bool = False
    notes: tuple[str, ...] = ()

    @property
    def connect(self) -> ConnectOptions:
        """How the daemon is reached."""
        made: dict[str, Any] = {
            "realm_id": self.realm,
            "workspace": self.workspace,
            "isolated": self.isolated,
            "instance_id": self.instance,
            "realm_backend": self.backend,
            "state_root": self.state_root,
        }
        options: ConnectOptions = {"surface": "mcp", "name": NAME}
        options.update({name: value for name, value in made.items() if value})  # type: ignore[typeddict-item]
        return options


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _invalid(f"{message[0].upper()}{message[1:]}.")


def _invalid(message: str) -> RkatError:
    return RkatError("INVALID_PARAMS", message, hint=f"`{NAME} --help` shows what it takes.")


def parser() -> argparse.ArgumentParser:
    """The flags, with their texts."""
    made = _Parser(
        prog=NAME,
        description="The daemon's sessions for agents: the Model Context Protocol on stdin and stdout.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add("-r", "--realm", metavar="ID", help="Use this realm (default: a fresh one).")
    add("--workspace", metavar="DIR", help="Use the realm that rkat uses in this folder.")
    add("--isolated", action="store_true", help="Use a fresh realm of its own.")
    add("--instance", metavar="ID", help="Name this client within the realm.")
    add("--realm-backend", dest="backend", metavar="NAME", help="Backend of a new realm, such as sqlite or memory.")
    add("--state-root", metavar="DIR", help="Use the daemon of this state root.")
    add("--default-model", metavar="MODEL", help="Model of a new session that names none.")
    add("--expose-paths", action="store_true", help="Show paths of this machine in results.")
    for flag in _IGNORED:
        add(flag, metavar="DIR", action="append", default=[], help="Accepted without effect.")
    add("-V", "--version", action="version", version=f"{NAME} {VERSION}")
    return made


def parse(arguments: Sequence[str]) -> Options:
    """The options of a command line. `--help` and `--version` print and raise SystemExit.

    Raises:
        RkatError: INVALID_PARAMS.
    """
    found = vars(parser().parse_args(list(arguments)))
    notes = []
    for flag, why in _IGNORED.items():
        if found.pop(flag.removeprefix("--").replace("-", "_")):
            notes.append(f"{flag} has no effect: {why}.")
    chosen = [f"--{name}" for name in ("realm", "isolated", "workspace") if found[name]]
    if len(chosen) > 1:
        raise _invalid(f"{' and '.join(chosen)} cannot be used together: each of them chooses the realm.")
    for name, value in found.items():
        if value == "":
            raise _invalid(f"--{name.replace('_', '-')} needs a value that is not empty.")
    if found["workspace"] is not None:
        if not os.path.isdir(found["workspace"]):
            raise _invalid(f"The workspace {found['workspace']!r} is no folder.")
        found["workspace"] = os.path.abspath(found["workspace"])
    return Options(notes=tuple(notes), **found)
