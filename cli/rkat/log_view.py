"""The daemon's log, for people: one short line for each record."""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import IO, Any

from meerkat_client.errors import RkatError

from . import output
from .terminal import Style, visible, visible_line
from .times import moment

_LOOK_SECONDS = 0.25
_HEAD = ("time", "level", "logger", "message", "traceback")


def show(path: str, *, lines: int, follow: bool, raw: bool) -> None:
    """Write the last lines of the log, and with `follow` every new one until Ctrl-C.

    Raises:
        RkatError: DAEMON_UNAVAILABLE when there is no log, STORAGE_ERROR when it cannot be read.
    """
    try:
        file = open(path, encoding="utf-8", errors="replace")  # noqa: SIM115
    except FileNotFoundError as error:
        raise RkatError(
            "DAEMON_UNAVAILABLE",
            f"There is no log at {path}.",
            hint="No daemon has run here, or systemd has its log: journalctl --user -u meerkatd",
            details={"path": path},
        ) from error
    except OSError as error:
        raise RkatError("STORAGE_ERROR", f"The log {path} cannot be read: {error.strerror}.") from error
    with file:
        for line in deque(file, maxlen=lines):
            _write(line, raw=raw)
        if follow:
            for line in _following(path, file):
                _write(line, raw=raw)


def _following(path: str, file: IO[str]) -> Iterator[str]:
    """New lines, also of the file that takes this one's place when the log is rotated."""
    rest = ""
    while True:
        rest += file.readline()
        if rest.endswith("\n"):
            yield rest
            rest = ""
        elif _was_replaced(path, file):
            with open(path, encoding="utf-8", errors="replace") as newer:
                yield from _following(path, newer)
        else:
            sys.stdout.flush()
            time.sleep(_LOOK_SECONDS)


def _was_replaced(path: str, file: IO[str]) -> bool:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    ours = os.fstat(file.fileno())
    return (found.st_dev, found.st_ino) != (ours.st_dev, ours.st_ino)


def _write(line: str, *, raw: bool) -> None:
    record = None if raw else _parse(line)
    if record is None:
        output.text(line if line.endswith("\n") else f"{line}\n")
        return
    style = Style(sys.stdout)
    level = str(record.get("level", ""))
    shown = style.red(level) if level in ("error", "critical") else level
    more = " ".join(f"{key}={value}" for key, value in record.items() if key not in _HEAD)
    text = visible_line(str(record.get("message", "")))
    when = style.dim(visible_line(moment(str(record.get("time", "")))))
    print(f"{when} {shown} {text} {style.dim(visible_line(more))}".rstrip())
    if "traceback" in record:
        print(style.dim(visible(str(record["traceback"]))))


def _parse(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
