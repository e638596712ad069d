"""The command line of `rkat-rest`: the public contract's flags, and where to listen.

A flag of the public contract that has no meaning here is accepted, and what becomes of it is told on stderr.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, NoReturn, cast

from meerkat_client.errors import RkatError
from meerkat_client.options import ConnectOptions
from meerkat_client.wire.version import VERSION

NAME = "rkat-rest"
DEFAULT_HOST = "127.0.0.1"
# The public contract's.
DEFAULT_PORT = 8080

_IGNORED = {
    "--context-root": "the realm is chosen by --realm, and no other thing here depends on a folder",
    "--user-config-root": "the user's config is the daemon's; MEERKAT_USER_CONFIG names it when the daemon starts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says.

    Attributes:
        allowed_hosts: names besides those of the loopback by which clients may call this server.
        token_file: None for a new token beside the daemon's socket.
        webhook_secret: of RKAT_WEBHOOK_SECRET; None when that is not set.
        notes: for stderr: flags that have no effect.
        prints: print this document and end: "openapi" or "docs".
    """

    realm: str | None = None
    isolated: bool = False
    instance: str | None = None
    backend: str | None = None
    state_root: str | None = None
    default_model: str | None = None
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    allow_remote: bool = False
    allowed_hosts: tuple[str, ...] = ()
    token_file: str | None = None
    expose_paths: bool = False
    allow_programs: bool = False
    webhook_secret: bytes | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    prints: str | None = None

    @property
    def connect(self) -> ConnectOptions:
        """How the daemon is reached."""
        made: dict[str, Any] = {
            "realm_id": self.realm,
            "isolated": self.isolated,
            "instance_id": self.instance,
            "realm_backend": self.backend,
            "state_root": self.state_root,
        }
        given = {name: value for name, value in made.items() if value}
        return cast(ConnectOptions, {"surface": "rest", "name": NAME, **given})


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _invalid(f"{message[0].upper()}{message[1:]}.")


def _invalid(message: str) -> RkatError:
    return RkatError("INVALID_PARAMS", message, hint=f"`{NAME} --help` shows what it takes.")


def parser() -> argparse.ArgumentParser:
    """The flags, with their texts."""
    made = _Parser(prog=NAME, description="The daemon's sessions over HTTP.", allow_abbrev=False)
    add = made.add_argument
    add("-r", "--realm", metavar="ID", help="Use this realm (default: a fresh one).")
    add("--isolated", action="store_true", help="Use a fresh realm of its own.")
    add("--instance", metavar="ID", help="Name this client within the realm.")
    add(
        "--realm-backend",
        dest="backend",
        metavar="NAME",
        choices=("sqlite", "jsonl", "redb", "memory"),
        help="Backend of a new realm: sqlite, jsonl, redb or memory.",
    )
    add("--state-root", metavar="DIR", help="Use the daemon of this state root.")
    add("--default-model", metavar="MODEL", help="Model of a POST /sessions that names none.")
    add("--host", metavar="ADDR", default=DEFAULT_HOST, help=f"Address to listen on (default {DEFAULT_HOST}).")
    add("--port", metavar="N", type=int, default=DEFAULT_PORT, help=f"0 for any free one (default {DEFAULT_PORT}).")
    add("--allow-remote", action="store_true", help="Let --host be an address that other machines reach.")
    add(
        "--allow-host",
        dest="allowed_hosts",
        metavar="NAME[:PORT]",
        action="append",
        default=[],
        help="A further name by which clients call this server; may be repeated.",
    )
    add("--token-file", metavar="FILE", help="Use the token in this file, or make it (default: a new token).")
    add("--expose-paths", action="store_true", help="Show where files are in answers.")
    add(
        "--allow-programs",
        action="store_true",
        help="Let requests name, and let models use, programs, files and servers.",
    )
    add("--print-openapi", dest="prints", action="store_const", const="openapi", help="Print the OpenAPI document.")
    add("--print-docs", dest="prints", action="store_const", const="docs", help="Print the documentation as HTML.")
    add("-V", "--version", action="version", version=f"{NAME} {VERSION}")
    for flag in _IGNORED:
        add(flag, metavar="DIR", help="Accepted without effect.")
    return made


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> Options:
    """The options of a command line and an environment.

    Raises:
        RkatError: INVALID_PARAMS.
        SystemExit: --help or --version was asked for and answered.
    """
    found = vars(parser().parse_args(list(arguments)))
    notes = [
        f"{flag} has no effect: {reason}."
        for flag, reason in _IGNORED.items()
        if found.pop(flag.removeprefix("--").replace("-", "_")) is not None
    ]
    empty = next((name for name, value in found.items() if value == ""), None)
    if empty is not None:
        raise _invalid(f"--{empty.replace('_', '-')} needs a value that is not empty.")
    found["allowed_hosts"] = tuple(name.lower() for name in found["allowed_hosts"])
    secret = environ.get("RKAT_WEBHOOK_SECRET", "").encode("utf-8", "surrogateescape") or None
    options = Options(notes=tuple(notes), webhook_secret=secret, **found)
    _check(options)
    return options


def _check(options: Options) -> None:
    if options.realm is not None and options.isolated:
        raise _invalid("--realm and --isolated cannot be used together: each of them chooses the realm.")
    if not 0 <= options.port <= 65535:
        raise _invalid("--port must be between 0 and 65535.")
    try:
        address = ip_address(options.host)
    except ValueError:
        raise _invalid(f"--host must be an IP address such as {DEFAULT_HOST} or ::1, not {options.host!r}.") from None
    if not address.is_loopback and not options.allow_remote:
        raise RkatError(
            "INVALID_PARAMS",
            f"{options.host} can be reached from other machines.",
            hint="What it serves is not encrypted. Add --allow-remote if that is meant, and think of a proxy with TLS.",
        )
