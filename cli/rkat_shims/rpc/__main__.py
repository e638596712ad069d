"""The program's beginning: argv in, exit status out."""

import gc
import os
import signal
import sys
from collections.abc import Sequence


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
    # Ctrl-C ends this program as it ends any other, without a traceback on the client's stderr.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
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
    return Loop(options, stdin=0, stdout=1).run()


def _occupy_standard_descriptors() -> None:
    """Have something behind 0, 1 and 2: a socket that got one of these numbers would be taken for stdout."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    sys.exit(main())
