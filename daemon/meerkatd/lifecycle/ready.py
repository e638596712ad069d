"""The ready pipe: how a client that started this daemon learns what became of it.

`READY\\n` means that the socket accepts; `BUSY\\n` that another daemon owns the state root; `FAILED {...}\\n`, with
code, message and hint, that it cannot start. The end of the pipe without any of them: this process died, and its
stderr tells why.
"""

import json
import os

READY = b"READY\n"
BUSY = b"BUSY\n"
FAILED = b"FAILED "


class ReadyPipe:
    """The daemon's end. Each report is the last one; without a descriptor there is nobody to tell."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        if fd is not None:
            os.set_inheritable(fd, False)

    def ready(self) -> None:
        self._report(READY)

    def busy(self) -> None:
        self._report(BUSY)

    def failed(self, *, code: str, message: str, hint: str) -> None:
        self._report(FAILED + json.dumps({"code": code, "message": message, "hint": hint}).encode() + b"\n")

    def _report(self, word: bytes) -> None:
        fd, self._fd = self._fd, None
        if fd is None:
            return
        try:
            os.write(fd, word)
        except BrokenPipeError:
            pass  # the client has given up waiting; whoever comes next will find the socket
        finally:
            os.close(fd)
