"""Runs one command: argv in, exit status out. The only place at which an exception becomes two lines and a status."""

import errno
import io
import os
import signal
import sys
from typing import TypeGuard

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

# What write() says of a file that cannot take any more.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


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
        if _is_of_a_stream(error):
            return _unwritable(error)
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
    except OSError as fault:
        if not _is_of_a_stream(fault):
            raise
        return _unwritable(fault)


def _broken_pipe() -> int:
    """Nobody reads any more: say nothing, also not when the interpreter flushes stdout at its end."""
    _give_stdout_up()
    return EXIT_BROKEN_PIPE


def _is_of_a_stream(error: Exception) -> TypeGuard[OSError]:
    """Whether stdout refused a write: unlike that of a file by its name, such an error names none."""
    return isinstance(error, OSError) and error.errno in _UNWRITABLE and error.filename is None


def _unwritable(error: OSError) -> int:
    """stdout takes nothing more, as a file on a full disk: told on stderr, also to programs."""
    _give_stdout_up()
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = os.strerror(error.errno or 0).lower()
    told = RkatError(
        "STORAGE_FULL" if full else "STORAGE_ERROR",
        f"The output could not be written: {reason}.",
        hint="Write it elsewhere. What a turn answered is kept: `rkat sessions show last`.",
    )
    return failure.report(told, as_json=False)


def _give_stdout_up() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
