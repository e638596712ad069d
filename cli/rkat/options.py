"""The global options, which stand before or after any command, and what they mean."""

import functools
import os
import shlex
from typing import Any, NamedTuple

import typer.core

from meerkat_client.errors import RkatError

from .workspace import find_workspace


class Options(NamedTuple):
    """The global options of one call, as given; None and False where nothing was."""

    realm: str | None = None
    isolated: bool = False
    instance: str | None = None
    realm_backend: str | None = None
    state_root: str | None = None
    workspace: str | None = None
    json: bool = False
    verbose: bool = False

    @classmethod
    def of(cls, ctx: Any) -> "Options":
        """The options of a command's context.

        Raises:
            RkatError: INVALID_PARAMS for options that contradict each other.
        """
        options = cls(**{name: value for name, value in ctx.obj.items() if name in cls._fields})
        chosen = [f"--{name}" for name in ("realm", "isolated", "workspace") if getattr(options, name)]
        if len(chosen) > 1:
            raise RkatError(
                "INVALID_PARAMS",
                f"{chosen[0]} and {chosen[1]} cannot be used together: each of them chooses the realm.",
                hint="Leave one of them out.",
                details={"options": chosen},
            )
        return options

    def choice_of_realm(self) -> dict[str, Any]:
        """The realm, as `BlockingClient.connect` takes it: by name, a fresh one, or the workspace's.

        Raises:
            RkatError: INVALID_PARAMS when the workspace is no folder.
        """
        if self.realm is not None:
            return {"realm_id": self.realm}
        if self.isolated:
            return {"isolated": True}
        if self.workspace is None:
            return {"workspace": find_workspace()}
        if not os.path.isdir(self.workspace):
            raise RkatError(
                "INVALID_PARAMS",
                f"The workspace {self.workspace!r} is no folder.",
                hint="Give a folder that exists.",
                details={"field": "workspace"},
            )
        return {"workspace": os.path.abspath(self.workspace)}

    def folder(self) -> str | None:
        """The folder whose files a new session's tools may use; None when there is none. Whatever realm is chosen, it
        is the workspace that one stands in.

        Raises:
            RkatError: INVALID_PARAMS when the workspace is no folder.
        """
        if self.realm is None and not self.isolated:
            return str(self.choice_of_realm()["workspace"])
        try:
            return find_workspace()
        except RkatError:
            # The current directory does not exist any more, and the realm was chosen without it.
            return None

    def again(self) -> str:
        """The options that lead back to the same sessions, as words to copy, with a space before each."""
        kept = {"--state-root": self.state_root, "--realm": self.realm, "--workspace": self.workspace}
        return "".join(f" {name} {shlex.quote(value)}" for name, value in kept.items() if value)


class SharedOption(typer.core.TyperOption):
    """A global option: its value goes to the context and not to the command's function."""

    is_shared = True


def _store(ctx: Any, param: Any, value: Any) -> None:
    if value is not None and value is not False and not ctx.resilient_parsing:
        ctx.obj[param.name] = value


@functools.cache
def shared_options() -> tuple[SharedOption, ...]:
    """The global options. Objects without state, so that all commands have the same ones."""
    texts = (
        (["realm", "-r", "--realm"], "ID", "Use this realm instead of the workspace's."),
        (["workspace", "--workspace", "--context-root"], "DIR",
         "Use this folder's realm (default: that of the project, else this one)."),
        (["instance", "--instance"], "ID", "Name this client within the realm."),
        (["realm_backend", "--realm-backend"], "NAME", "Backend of a new realm: sqlite, jsonl, redb or memory."),
        (["state_root", "--state-root"], "DIR", "Use the daemon of this state root."),
    )  # fmt: skip
    flags = (
        (["isolated", "--isolated"], "Use a fresh realm of its own."),
        (["json", "--json"], "Write one JSON document to stdout, also for errors."),
        (["verbose", "-v", "--verbose"], "Show reasoning and tool calls, on stderr."),
    )
    return (
        *(
            SharedOption(
                param_decls=names, metavar=metavar, help=text, callback=_store, expose_value=False, show_default=False
            )
            for names, metavar, text in texts
        ),
        *(
            SharedOption(param_decls=names, help=text, is_flag=True, default=False, callback=_store, expose_value=False)
            for names, text in flags
        ),
    )
