"""Where log records go: the journal when stderr is one, stderr for people, else JSON lines in a rotated file.

Each record is one line of JSON, also the text of messages: measured, a plain formatter passes newlines, escape
sequences and U+202E of user text through, so that a prompt could forge a line of the log or repaint a terminal.
"""

import json
import logging
import logging.handlers
import os
import sys
import time
from typing import Any

from meerkat_client.wire.paths import UNWRITABLE, open_directory

ROTATE_BYTES = 10 * 1024 * 1024
KEPT_FILES = 5

# syslog(3) priorities, as the journal wants them in front of a line.
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
    }
    fields.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
    if record.exc_info:
        fields["traceback"] = logging.Formatter().formatException(record.exc_info)
    return fields


class JsonLines(logging.Formatter):
    """One JSON object per line, ASCII only, with the time in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        head = {"time": f"{seconds}.{int(record.msecs):03d}Z"}
        return json.dumps(head | _fields(record), default=str)


class Journal(logging.Formatter):
    """The same line without the time, which the journal has, behind `<priority>`."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next(number for level, number in _PRIORITIES if record.levelno >= level)
        return f"<{priority}>{json.dumps(_fields(record), default=str)}"


class PrivateRotatingFile(logging.handlers.RotatingFileHandler):
    """A rotated file that only we can read, whatever the umask."""

    def _open(self) -> Any:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return open(os.open(self.baseFilename, flags, 0o600), "a", encoding="utf-8")


def stderr_is_journal() -> bool:
    """Whether JOURNAL_STREAM names the file behind descriptor 2 (see systemd.exec(5))."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


def configure_logging(log_path: str, *, foreground: bool = False, level: int = logging.INFO) -> logging.Handler:
    """Send all records of this process to their place; returns the handler, which replaces any other.

    Raises:
        PathRefused: the log's directory is not ours.
        OSError: the file cannot be made.
    """
    handler: logging.Handler
    if stderr_is_journal():
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(Journal())
    elif foreground:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
    else:
        os.close(open_directory(os.path.dirname(log_path), refuse=UNWRITABLE))
        handler = PrivateRotatingFile(log_path, maxBytes=ROTATE_BYTES, backupCount=KEPT_FILES)
        handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    return handler
