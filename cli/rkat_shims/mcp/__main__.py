"""The program's beginning: argv in, exit status out."""

import functools
import gc
import os
import signal
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run `rkat-mcp` with these arguments (default: those of the process); returns the exit status."""
    from meerkat_client.errors import RkatError
    from meerkat_client.wire.codes import row

    from .options import NAME, parse

    _occupy_standard_descriptors()
    try:
        options = parse(list(sys.argv[1:] if argv is None else argv))
    except RkatError as error:
        print(f"error: {error.message} ({error.code})\n  → {error.hint}", file=sys.stderr)
        return row(error.code).exit
    for note in options.notes:
        print(f"{NAME}: {note}", file=sys.stderr, flush=True)
    # Ctrl-C in a terminal reaches us too, beside the client that it is meant for; we end, and turns go on.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # What is imported lives as long as the process: looking through it for garbage would only cost.
    gc.disable()
    import anyio

    from .server import serve

    gc.freeze()
    gc.enable()
    stdin, stdout = _own_pipes()
    anyio.run(functools.partial(serve, options, stdin=stdin, stdout=stdout))
    return 0


def _own_pipes() -> tuple[int, int]:
    """Descriptors of the client's pipes that nobody else has: what is printed by mistake goes to stderr."""
    stdin, stdout = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return stdin, stdout


def _occupy_standard_descriptors() -> None:
    """Have something behind 0, 1 and 2: a socket that got one of these numbers would be taken for stdout."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    sys.exit(main())
