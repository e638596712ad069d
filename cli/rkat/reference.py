"""`python -m rkat.reference`: the reference page of the command line as Markdown, made from the commands themselves."""

import sys
from collections.abc import Iterator
from typing import Any

import typer
import typer.core

from .options import shared_options
from .tree import EXAMPLES, root_command


def markdown() -> str:
    """The page."""
    root = root_command()
    context = typer.Context(root, info_name="rkat", obj={})
    lines = ["# rkat", "", *_paragraphs(root.help), "", "```", *(line.strip() for line in EXAMPLES.splitlines()), "```"]
    lines += ["", "## Global options", "", "They stand before or after any command.", ""]
    lines += [*_rows(option.get_help_record(context) for option in shared_options()), ""]
    lines += ["## Options of rkat itself", "", *_rows(_own(root, context)), ""]
    for name in root.list_commands(context):
        lines += _command(root.get_command(context, name), context, name, level=2)
    return "\n".join(lines).rstrip() + "\n"


def _command(command: Any, parent: Any, name: str, *, level: int) -> Iterator[str]:
    context = typer.Context(command, info_name=name, parent=parent, obj={})
    yield from ("#" * level + f" {context.command_path}", "", *_paragraphs(command.help), "")
    usage = " ".join(command.collect_usage_pieces(context))
    yield from ("```", f"{context.command_path} {usage}", "```", "")
    rows = list(_rows(_own(command, context)))
    if rows:
        yield from (*rows, "")
    if isinstance(command, typer.core.TyperGroup):
        for below in command.list_commands(context):
            yield from _command(command.get_command(context, below), context, below, level=level + 1)


def _own(command: Any, context: Any) -> Iterator[tuple[str, str] | None]:
    for param in command.get_params(context):
        if not getattr(param, "is_shared", False) and param.name != "help":
            yield param.get_help_record(context)


def _rows(records: Any) -> Iterator[str]:
    known = [record for record in records if record is not None]
    if known:
        yield from ("| | |", "|---|---|")
    for name, text in known:
        yield f"| `{name.replace('|', chr(92) + '|')}` | {text} |"


def _paragraphs(text: str | None) -> list[str]:
    return [line.strip() for line in (text or "").splitlines()]


if __name__ == "__main__":
    sys.stdout.write(markdown())
