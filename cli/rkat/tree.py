"""The tree of commands. Each is imported when it is run, so that `rkat sessions list` does not pay for `rkat run`.

To add a command: a row in COMMANDS, and a module whose `app` is a `typer.Typer(**LEAVES)` with one command or more.
Every command takes the global options, as `rkat` itself does, so they may stand before or after it.
"""

import importlib
import re
import sys
from typing import Any, NamedTuple

import typer
import typer.core
import typer.main

from meerkat_client.errors import RkatError
from meerkat_client.wire.version import VERSION

from . import terminal
from .options import shared_options

EXAMPLES = """\
  rkat "What is a daemon?"                   ask; this folder's sessions are kept together
  git diff | rkat "Review this"              what comes in by the pipe goes before the prompt
  rkat continue "And shorter?"               go on with the last session
  rkat sessions list                         what there is, and what is running
  rkat sessions attach last                  watch a turn that another terminal started
  rkat --realm team "Hello"                  share sessions by name instead of by folder
"""


class Entry(NamedTuple):
    """A command: its name, its module below `rkat.commands`, and its heading in `rkat --help`."""

    name: str
    module: str
    section: str


COMMANDS = (
    Entry("run", "run", "Talk"),
    Entry("resume", "resume", "Talk"),
    Entry("continue", "continue_", "Talk"),
    Entry("sessions", "sessions", "Look after"),
    Entry("realms", "realms", "Look after"),
    Entry("usage", "usage", "Look after"),
    Entry("approvals", "approvals", "Look after"),
    Entry("config", "config", "Look after"),
    Entry("models", "models", "Look after"),
    Entry("blob", "blob", "Look after"),
    Entry("daemon", "daemon", "Look after"),
    Entry("doctor", "doctor", "Look after"),
)
_HEADING = re.compile(r"^(Usage:|[A-Z][a-z ]+:$)", re.MULTILINE)


def names() -> tuple[str, ...]:
    """Names of all commands of the first level."""
    return tuple(entry.name for entry in COMMANDS)


class _Help:
    """Help as plain text in sections, with the headings in bold on a terminal."""

    def get_help(self, ctx: Any) -> str:
        text: str = super().get_help(ctx)  # type: ignore[misc]
        style = terminal.Style(sys.stdout)
        return _HEADING.sub(lambda found: style.bold(found[0]), text)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], "Global options": []}
        for param in self.get_params(ctx):  # type: ignore[attr-defined]
            record = param.get_help_record(ctx)
            if record is None:
                continue
            if isinstance(param, typer.core.TyperArgument):
                sections["Arguments"].append(record)
            elif getattr(param, "is_shared", False):
                sections["Global options"].append(record)
            else:
                sections["Options"].append(record)
        if isinstance(self, typer.core.TyperGroup):
            self.format_commands(ctx, formatter)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


class Leaf(_Help, typer.core.TyperCommand):
    """A command that does something."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(shared_options())


class Branch(_Help, typer.core.TyperGroup):
    """A command with commands below it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(shared_options())

    def invoke(self, ctx: Any) -> Any:
        if not (ctx.args or ctx._protected_args or self.invoke_without_command):
            raise RkatError(
                "INVALID_PARAMS",
                f"`{ctx.command_path}` needs one of its commands: {', '.join(self.list_commands(ctx))}.",
                hint=f"`{ctx.command_path} --help` says what each of them does.",
            )
        return super().invoke(ctx)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        # Whole sentences: typer's own way cuts them to one line, though there is room to go on below.
        commands: list[tuple[str, Any]] = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(limit=1000)) for name, command in commands if not command.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class Root(Branch):
    """`rkat`: loads what is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(names())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = next((entry for entry in COMMANDS if entry.name == cmd_name), None)
        return None if entry is None else load(entry)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for section in dict.fromkeys(entry.section for entry in COMMANDS):
            entries = [entry for entry in COMMANDS if entry.section == section]
            rows = [(entry.name, load(entry).get_short_help_str(limit=1000)) for entry in entries]
            with formatter.section(section):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        formatter.write_paragraph()
        formatter.write(f"Examples:\n{EXAMPLES}")


# What every `typer.Typer` of ours is made with: plain help (rich costs 100 ms), and our own reports of errors.
BRANCH: dict[str, Any] = {
    "cls": Branch,
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


def load(entry: Entry) -> Any:
    """The command of a row, imported and built."""
    module = importlib.import_module(f"rkat.commands.{entry.module}")
    command = typer.main.get_command(module.app)
    command.name = entry.name
    return command


def _show_version(asked: bool) -> None:
    if asked:
        print(f"rkat {VERSION}")
        raise typer.Exit


def root_command() -> Any:
    """`rkat` itself."""
    app = typer.Typer(**{**BRANCH, "cls": Root, "add_completion": True})

    @app.callback()
    def rkat(
        version: bool = typer.Option(
            False, "--version", help="Show the version.", callback=_show_version, is_eager=True
        ),
    ) -> None:
        """Sessions with language models, kept by a daemon that every surface shares.

        A first word that is no command is a prompt: rkat "..." is rkat run "...".
        """

    return typer.main.get_command(app)
