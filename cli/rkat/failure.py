"""Errors as people and programs see them, and the exit status.

People get two lines on stderr: what happened, with its code, and what to do next. Programs (`--json`) get one document
on stdout: {"error": {code, message, hint, details}}. The exit status is that of the one error table.
"""

import sys
from typing import Any

from meerkat_client.errors import RkatError
from meerkat_client.wire.codes import row

from . import output
from .terminal import Style, visible_line


def report(error: RkatError, *, as_json: bool) -> int:
    """Tell of `error`; returns the exit status."""
    if as_json:
        output.document({"error": error_object(error)})
    else:
        write(error)
    return row(error.code).exit


def error_object(error: RkatError) -> dict[str, Any]:
    """An error as programs see it."""
    return {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}


def write(error: RkatError) -> None:
    """The two lines on stderr. An interrupt is what was asked for, and so it is not called an error."""
    style = Style(sys.stderr)
    head = "interrupted:" if error.code == "REQUEST_CANCELLED" else style.red("error:")
    sys.stdout.flush()
    print(f"{head} {visible_line(error.message)} {style.dim(f'({error.code})')}", file=sys.stderr)
    print(f"  → {visible_line(error.hint)}", file=sys.stderr, flush=True)


def from_usage(error: Any) -> RkatError:
    """What typer found wrong with the arguments."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "rkat"
    return RkatError("INVALID_PARAMS", _sentence(error.format_message()), hint=f"`{path} --help` shows what it takes.")


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "?", "!")) else f"{text}."


def unexpected(error: Exception) -> RkatError:
    """A mistake in this program, or something that nobody thought of."""
    return RkatError(
        "INTERNAL_ERROR",
        f"rkat failed in a way that it should not: {type(error).__name__}: {error}",
        hint="MEERKAT_DEBUG=1 shows where it happened; please report it.",
    )
