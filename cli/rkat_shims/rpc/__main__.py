"""The program's beginning: argv in, exit status out."""

import gc
import os
import sys
from collections.abc import Sequence

# What a shell calls the end by Ctrl-C.
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run `rkat-rpc` with these arguments (default: those of the process); returns the exit status."""
    # What is imported lives as long as the process: looking through it for garbage would only cost.
    gc.disable()
    from meerkat_client.errors import RkatError
    from meerkat_client.wire.codes import row

    from .loop import Loop
    from .options import parse

    gc.freeze()
    gc.enable()
    _occupy_standard_descriptors()
    try:
        options = parse(list(sys.argv[1:] if argv is None else argv), os.environ)
    except RkatError as error:
        print(f"error: {error.message} ({error.code})\n  → {error.hint}", file=sys.stderr)
        return row(error.code).exit
    if options.text is not None:
        print(options.text)
        return 0
    for note in options.notes:
        print(f"rkat-rpc: {note}", file=sys.stderr, flush=True)
    try:
        return Loop(options, stdin=0, stdout=1).run()
    except KeyboardInterrupt:
        return _INTERRUPTED


def _occupy_standard_descriptors() -> None:
    """Have something behind 0, 1 and 2: a socket that got one of these numbers would be taken for stdout."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    sys.exit(main())
