"""`search_files`: a text or a pattern in the files of the workspace.

It runs in a process of its own, see `search_worker`: a regular expression can take longer than the universe has, holds
the interpreter's lock all the while, and cannot be stopped from outside in any other way.
"""

import json
import os
import subprocess
import sys

import trio
from pydantic import Field

from .excerpt import excerpt
from .tool import Arguments, BuiltinTool
from .workspace import ToolRefusal, place

_WORKER = os.path.join(os.path.dirname(__file__), "search_worker.py")
# A big repository takes a second or two; a pattern that takes longer is one that explodes.
MAX_SECONDS = 20.0
MAX_RESULT_CHARS = 24_000


class SearchFiles(Arguments):
    pattern: str = Field(min_length=1, max_length=1000, description="Text to look for within lines.")
    regex: bool = Field(False, description="The pattern is a regular expression.")
    ignore_case: bool = False
    path: str = Field(".", description="A folder or a file, from the workspace's root.")
    files: str | None = Field(None, description="Only in files whose names or paths match, such as *.py.")


def searching_tools(root: str) -> list[BuiltinTool]:
    async def search_files(arguments: SearchFiles) -> str:
        return await _search(root, arguments)

    return [
        BuiltinTool(
            name="search_files",
            level="safe",
            description="Find lines in the text files of the workspace; gives path:line: text.",
            arguments=SearchFiles,
            run=search_files,
        )
    ]


async def _search(root: str, wanted: SearchFiles) -> str:
    descriptor, shown, is_file = await trio.to_thread.run_sync(_opened, root, wanted.path)
    order = {**wanted.model_dump(exclude={"path"}), "descriptor": descriptor, "shown": shown, "is_file": is_file}
    try:
        with trio.move_on_after(MAX_SECONDS) as scope:
            done = await trio.run_process(
                # Isolated and without site: the worker needs nothing, and starts in 15 ms.
                [sys.executable, "-I", "-S", _WORKER],
                stdin=json.dumps(order).encode(),
                capture_stdout=True,
                stderr=subprocess.DEVNULL,
                check=False,
                pass_fds=[descriptor],
                start_new_session=True,
            )
    finally:
        os.close(descriptor)
    if scope.cancelled_caught:
        raise ToolRefusal(f"The search took longer than {MAX_SECONDS:g} seconds. Look for less, or in fewer files.")
    if done.returncode != 0:
        raise ToolRefusal("The search ended without a result. Look for less, or in fewer files.")
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise ToolRefusal(answer["error"])
    return excerpt("\n".join(answer["lines"]), MAX_RESULT_CHARS)


def _opened(root: str, path: str) -> tuple[int, str, bool]:
    """An open descriptor of the folder or file, its path, and whether it is a file."""
    with place(root, path) as found:
        try:
            return found.open_folder(), "" if found.shown == "." else f"{found.shown}/", False
        except ToolRefusal:
            return found.open_file(), found.shown, True
