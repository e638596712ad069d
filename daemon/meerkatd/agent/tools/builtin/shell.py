"""`shell`: a command in the workspace. What it starts ends with it, with its timeout, and with the daemon."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import trio
from pydantic import Field

from meerkat_client.wire.credentials import API_KEYS

from ..processes import DEVNULL, PIPE, STDOUT, environment, kept_process
from .excerpt import Ends
from .tool import Arguments, BuiltinTool
from .workspace import ToolRefusal

# A build or a test run; a model that needs longer says so.
DEFAULT_SECONDS = 120.0
MAX_SECONDS = 3600.0
# Less than what the toolbox gives a tool, so that a command which is stopped still tells what it had said.
MARGIN_SECONDS = 10.0
# The beginning says what was run, the end how it went; some 8000 tokens.
MAX_OUTPUT_BYTES = 32 * 1024
_CHUNK = 65536
# The commands of a model are no business of a provider's account.
_KEYS = frozenset(name for names in API_KEYS.values() for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellSettings:
    """What the config says about the shell.

    Attributes:
        program: takes `-c COMMAND`; None for bash where there is one, else sh.
        timeout: seconds for a command that says nothing about it.
        max_timeout: seconds for one that says something.
    """

    program: str | None = None
    timeout: float = DEFAULT_SECONDS
    max_timeout: float = 600.0 - MARGIN_SECONDS


class Shell(Arguments):
    command: str = Field(min_length=1, description="Run in the workspace's root, without a terminal or input.")
    timeout_seconds: float | None = Field(
        None, gt=0, le=MAX_SECONDS, description=f"When to stop it; {DEFAULT_SECONDS:g} when absent."
    )


def shell_tools(root: str, settings: Callable[[], ShellSettings]) -> list[BuiltinTool]:
    async def shell(arguments: Shell) -> str:
        return await _run(root, arguments, settings())

    return [
        BuiltinTool(
            name="shell",
            level="full",
            description="Run a shell command; gives its output and its status. What it leaves running is ended.",
            arguments=Shell,
            run=shell,
        )
    ]


async def _run(root: str, wanted: Shell, settings: ShellSettings) -> str:
    program = settings.program or shutil.which("bash") or "/bin/sh"
    timeout = min(wanted.timeout_seconds or settings.timeout, settings.max_timeout)
    output = Ends(MAX_OUTPUT_BYTES)
    environ = {**environment(os.environ, without=_KEYS), "TERM": "dumb", "PWD": root}
    try:
        with trio.move_on_after(timeout) as scope:
            async with kept_process(
                [program, "-c", wanted.command], cwd=root, env=environ, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
            ) as kept:
                await _read(kept.process, output)
                status = await kept.process.wait()
    except OSError as error:
        raise ToolRefusal(f"The command could not be started: {os.strerror(error.errno or 0)}.") from error
    text = output.text().rstrip("\n")
    if scope.cancelled_caught:
        raise ToolRefusal(f"{text}\n[It was stopped after {timeout:g} seconds, with all that it had started.]".lstrip())
    if status != 0:
        raise ToolRefusal(f"{text}\n[It ended with status {status}.]".lstrip())
    return text or "[It ended with status 0 and wrote nothing.]"


async def _read(process: trio.Process, output: Ends) -> None:
    assert process.stdout is not None
    while chunk := await process.stdout.receive_some(_CHUNK):
        output.feed(chunk)
