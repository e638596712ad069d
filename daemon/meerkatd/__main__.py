"""argv -> Settings -> trio.run; exit status. Nothing else.

`--detach` is looked at before anything heavy is imported: the client waits for the first process, and forking is cheap
and safe only while there is but one thread and little memory.
"""

import sys
from collections.abc import Sequence

from meerkat_client.wire.codes import row
from meerkat_client.wire.faults import WireError

from .lifecycle.process import detach, prepare_process


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--detach" in arguments:
        detach()
    prepare_process()

    from .settings import parse_settings

    try:
        settings = parse_settings(arguments)
    except WireError as error:
        return _refused(error)

    import trio

    from .app import serve
    from .lifecycle.ready import ReadyPipe

    end = trio.run(serve, settings, ReadyPipe(settings.ready_fd))
    return end if isinstance(end, int) else end.begin()


def _refused(error: WireError) -> int:
    print(f"meerkatd: {error.message} {error.hint}", file=sys.stderr)
    return row(error.code).exit


if __name__ == "__main__":
    sys.exit(main())
