"""What an installation or its removal will do: shown first, then carried out, and nothing of it twice.

A plan is a list of steps that change something. A step that would change nothing is not in it, so an empty plan means
that everything is as it should be.
"""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from meerkat_client.errors import RkatError

# A daemon that is stopped lets its turns end: TimeoutStopSec of the unit, and some more.
COMMAND_SECONDS = 60.0


class Step(NamedTuple):
    """One change.

    Attributes:
        text: what it does, for people.
        carry_out: does it; raises RkatError or OSError.
    """

    text: str
    carry_out: Callable[[], object]


def write(path: str, text: str) -> list[Step]:
    """Write a file of one's own, unless it is like that already; missing folders are made."""
    if read(path) == text:
        return []

    def carry_out() -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        temporary = f"{path}.{os.getpid()}"
        # It may name a proxy with its password.
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)

    return [Step(f"write {path}", carry_out)]


def remove(path: str) -> list[Step]:
    return [Step(f"remove {path}", lambda: os.unlink(path))] if os.path.lexists(path) else []


def remove_if_empty(*folders: str) -> list[Step]:
    """Remove folders that nothing is left in; tried in order, and silent about those that have something."""

    def carry_out() -> None:
        for folder in folders:
            try:
                os.rmdir(folder)
            except OSError:
                # Somebody has something in there, or it is gone.
                continue

    return [Step(f"remove {folders[0]} and what is above it, where nothing is left in it", carry_out)]


def command(words: Sequence[str], environment: Mapping[str, str]) -> Step:
    return Step(f"run {' '.join(words)}", lambda: run(words, environment))


def run(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a manager's command; its output.

    Raises:
        RkatError: CAPABILITY_UNAVAILABLE when there is no such program, DAEMON_UNAVAILABLE with what it said.
    """
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, env=dict(environment), timeout=COMMAND_SECONDS,
            check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise RkatError("CAPABILITY_UNAVAILABLE", f"There is no {words[0]} here.") from error
    except subprocess.TimeoutExpired as error:
        raise RkatError("DAEMON_UNAVAILABLE", f"`{' '.join(words)}` does not come to an end.") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip() or f"status {done.returncode}"
        raise RkatError("DAEMON_UNAVAILABLE", f"`{' '.join(words)}` failed: {said}.", hint=_hint(words[0]))
    return done.stdout.decode("utf-8", "replace")


def _hint(program: str) -> str:
    if program == "launchctl":
        return "Run this in a session of the desktop, not over ssh."
    return "`systemctl --user status` tells whether your service manager runs; over `su` or cron it may not."


def read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return None
