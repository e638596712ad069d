"""Runs one command: argv in, exit status out. The only place at which an exception becomes two lines and a status."""

import io
import os
import signal
import sys

from typer import Abort, Exit, TyperException

from meerkat_client.errors import RkatError

from . import argv as argv_rules
from . import failure
from .tree import names, root_command

NAME = "rkat"
_COMPLETE = "_RKAT_COMPLETE"

# As a shell tells the death by a signal.
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_BROKEN_PIPE = 128 + signal.SIGPIPE


def run(arguments: list[str]) -> int:
    """Run the command that the arguments name; returns the exit status.

    MEERKAT_DEBUG=1 lets an unexpected exception through, with its traceback.
    """
    _prepare_streams()
    as_json = argv_rules.asks_for_json(arguments)
    try:
        return _run(arguments)
    except RkatError as error:
        return _told(error, as_json=as_json)
    except TyperException as error:
        return _told(failure.from_usage(error), as_json=as_json)
    except (KeyboardInterrupt, Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _broken_pipe()
    except Exception as error:
        if os.environ.get("MEERKAT_DEBUG"):
            raise
        return _told(failure.unexpected(error), as_json=as_json)


def _prepare_streams() -> None:
    """Let every text be written: what the locale or UTF-8 cannot carry is spelled out. A closed stream takes all."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run(arguments: list[str]) -> int:
    piped = not sys.stdin.isatty() if sys.stdin is not None else False
    root = root_command()
    if _COMPLETE in os.environ:
        # A shell asks for completions; typer answers and exits.
        root.main(args=arguments, prog_name=NAME)
    prepared = argv_rules.prepare(arguments, names(), piped=piped)
    try:
        # Not `main`: it makes an end with status 1 of every broken pipe.
        with root.make_context(NAME, prepared, obj={}) as context:
            root.invoke(context)
    except Exit as exit_:
        return exit_.exit_code
    finally:
        sys.stdout.flush()
    return 0


def _told(error: RkatError, *, as_json: bool) -> int:
    try:
        return failure.report(error, as_json=as_json)
    except BrokenPipeError:
        return _broken_pipe()


def _broken_pipe() -> int:
    """Nobody reads any more: say nothing, also not when the interpreter flushes stdout at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_BROKEN_PIPE
