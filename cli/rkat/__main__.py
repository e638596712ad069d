"""The program's beginning: argv in, exit status out. What it does is in `program`."""

import gc
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run `rkat` with these arguments (default: those of the process); returns the exit status."""
    # What is imported here lives as long as the process. Looking through it for garbage, while it is loaded and once
    # more at the end, was measured to cost 30 of 120 ms.
    gc.disable()
    try:
        from .program import run
    except KeyboardInterrupt:
        # As a shell tells the death by SIGINT.
        return 130
    gc.freeze()
    gc.enable()
    return run(list(sys.argv[1:] if argv is None else argv))


if __name__ == "__main__":
    sys.exit(main())
