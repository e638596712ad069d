"""`rkat config edit`: the config's text in the person's own editor, and back by compare-and-set.

What the person wrote is never lost: until the daemon has taken it, it is in a file, and each error says where. A file
that cannot be used as it is, so that the daemon gives no text of it, is opened itself.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from typing import Any

from meerkat_client import BlockingClient
from meerkat_client.errors import RkatError

from . import failure, output, terminal

_EMPTY = """\
# The config of this realm. `rkat config schema` lists all keys; for example:
#
# [agent]
# model = "claude-sonnet-5"
# system_prompt = "Answer in one sentence."
#
# [servers.home]
# base_url = "http://127.0.0.1:11434/v1"
# default_model = "llama3.2"
"""


def edit(client: BlockingClient) -> dict[str, Any] | None:
    """Edit and write; the new envelope, or None when nothing was changed.

    Raises:
        RkatError: the editor cannot be run, or the daemon refused and nobody wants to edit again. The hint says where
            the text is.
    """
    try:
        base = client.call("config/get", {"format": "toml"})
    except RkatError as error:
        if error.code != "CONFIG_INVALID" or "path" not in error.details:
            raise
        return _mend(client, error)
    folder = tempfile.mkdtemp(prefix="rkat-config-")
    path = os.path.join(folder, "config.toml")
    before = base["toml"] or _EMPTY
    _write(path, before)
    generation = base["generation"]
    while True:
        _run_editor(path)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if text == before:
            _remove(folder)
            return None
        try:
            answer: dict[str, Any] = client.call("config/set", {"toml": text, "expected_generation": generation})
        except RkatError as error:
            if error.code == "CONFIG_CONFLICT":
                generation = _show_other(client, folder)
            _ask_again(error, f"Your text is kept in {path}.")
            continue
        _remove(folder)
        return answer


def _mend(client: BlockingClient, error: RkatError) -> dict[str, Any]:
    """Open the broken file itself until it can be used."""
    path = str(error.details["path"])
    while True:
        failure.write(error)
        _run_editor(path)
        try:
            answer: dict[str, Any] = client.call("config/get")
        except RkatError as still:
            if still.code != "CONFIG_INVALID" or not terminal.can_ask() or not _yes("Edit again?"):
                raise
            error = still
        else:
            return answer


def _show_other(client: BlockingClient, folder: str) -> int:
    """Somebody else was faster: put what they wrote beside the text. Returns its generation."""
    now = client.call("config/get", {"format": "toml"})
    other = os.path.join(folder, "theirs.toml")
    _write(other, now["toml"])
    output.note(f"The config was changed meanwhile, to generation {now['generation']}: {other}")
    generation: int = now["generation"]
    return generation


def _ask_again(error: RkatError, kept: str) -> None:
    """Raises `error` unless there is somebody who wants to edit again."""
    told = RkatError(error.code, error.message, details=error.details, hint=f"{error.hint} {kept}")
    if not terminal.can_ask():
        raise told
    failure.write(told)
    if not _yes("Edit again?"):
        raise told


def _yes(question: str) -> bool:
    print(f"{question} [Y/n] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    return bool(answer) and answer.strip().lower() in ("", "y", "yes")


def _run_editor(path: str) -> None:
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        done = subprocess.run([*shlex.split(command), path], check=False)
    except (OSError, ValueError) as error:
        raise RkatError(
            "INVALID_PARAMS",
            f"The editor {command!r} cannot be run: {error}.",
            hint=f"Set VISUAL or EDITOR. The text is in {path}.",
            details={"editor": command, "path": path},
        ) from error
    if done.returncode != 0:
        raise RkatError(
            "REQUEST_CANCELLED",
            f"The editor ended with status {done.returncode}; nothing was written.",
            hint=f"Your text is kept in {path}.",
            details={"editor": command, "path": path},
        )


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _remove(folder: str) -> None:
    import shutil

    # An editor leaves backups and swap files beside the text.
    shutil.rmtree(folder)
