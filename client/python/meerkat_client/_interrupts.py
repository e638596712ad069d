"""Ctrl-C at places of our choosing: a blocking wait can be interrupted, the bookkeeping around it cannot.

Python raises KeyboardInterrupt between any two bytecodes. Between "bytes were received" and "bytes were stored" that
would lose them, and with them the framing of the connection. Inside of this gate the exception is raised only while
`open`, or when the block ends.

It acts only where it matters: in the main thread, and when SIGINT has Python's own handler. A program that set its own
knows what it does with the signal.
"""

import signal
import threading
from types import FrameType, TracebackType


class InterruptGate:
    """Context manager; closed at first. While it is closed Ctrl-C is remembered, while it is open it is raised.

    Use: `with gate:` around a whole exchange, and inside of it `with gate.opened:` around each blocking wait. What was
    remembered is raised by the next opening, or at the end of the block. Or `with gate.remembering:` for something
    short whose outcome must not be lost: that one leaves it to the next exchange.
    """

    def __init__(self) -> None:
        self._open = False
        self._interrupted = False
        self._depth = 0
        self._installed = False
        self.opened = _Opened(self)
        self.remembering = _Remembering(self)

    def __enter__(self) -> None:
        self.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
        if not self._depth and kind is None:
            self._raise_remembered()

    def close(self) -> None:
        """Begin to remember; may be nested."""
        self._depth += 1
        if self._depth == 1 and threading.current_thread() is threading.main_thread():
            self._installed = signal.getsignal(signal.SIGINT) is signal.default_int_handler
            if self._installed:
                signal.signal(signal.SIGINT, self._handle)

    def leave(self) -> None:
        """Undo one `close`."""
        self._depth -= 1
        if not self._depth and self._installed:
            self._installed = False
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def let_in(self) -> None:
        self._open = True
        self._raise_remembered()

    def shut(self) -> None:
        self._open = False

    def _raise_remembered(self) -> None:
        if self._interrupted:
            self._open = self._interrupted = False
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._open:
            signal.default_int_handler(number, frame)
        self._interrupted = True


class _Opened:
    """The open part of a gate."""

    def __init__(self, gate: InterruptGate) -> None:
        self._gate = gate

    def __enter__(self) -> None:
        self._gate.let_in()

    def __exit__(self, *_: object) -> None:
        self._gate.shut()


class _Remembering:
    """A gate whose end raises nothing."""

    def __init__(self, gate: InterruptGate) -> None:
        self._gate = gate

    def __enter__(self) -> None:
        self._gate.close()

    def __exit__(self, *_: object) -> None:
        self._gate.leave()
