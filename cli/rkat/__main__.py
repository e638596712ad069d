"""The program's beginning: argv in, exit status out. What it does is in `program`.

Until the program is loaded, Ctrl-C ends the process the way it ends one that knows nothing of it: without a word. The
exception would come up in the middle of an import, and with it the traceback of somebody else's module.
"""

# Without the Python around it, which takes longer to load than all the rest that is needed here.
import _signal  # type: ignore[import-not-found]
import gc
import sys
from collections.abc import Callable, Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run `rkat` with these arguments (default: those of the process); returns the exit status."""
    # What is imported here lives as long as the process. Looking through it for garbage, while it is loaded and once
    # more at the end, was measured to cost 30 of 120 ms.
    gc.disable()
    run = _load()
    gc.freeze()
    gc.enable()
    return run(list(sys.argv[1:] if argv is None else argv))


def _load() -> Callable[[list[str]], int]:
    # An ignored signal stays ignored: that is a job in the background.
    ours = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler
    if ours:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    try:
        from .program import run
    finally:
        if ours:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    return run


if __name__ == "__main__":
    sys.exit(main())
