"""`write_file` and `patch_file`: changing files within the workspace.

A file is replaced as a whole: what is new is written beside it and renamed over it, so that a reader, or a crash, finds
the old content or the new. Blocking parts run in a thread that is waited for, also when the turn is cancelled: a change
is made or not made, and never unknown.
"""

import os
import secrets
import stat
from collections.abc import Callable

import trio
from pydantic import Field

from .tool import Arguments, BuiltinTool
from .workspace import Place, ToolRefusal, explained, place

# A model writes some thousand lines at most.
MAX_WRITTEN_BYTES = 4 * 1024 * 1024
MAX_EDITS = 100


class WriteFile(Arguments):
    path: str = Field(description="From the workspace's root; folders on the way are made.")
    content: str = Field(description="The whole new content.")


class Edit(Arguments):
    old_text: str = Field(min_length=1, description="Text as it stands in the file, whitespace included.")
    new_text: str
    replace_all: bool = Field(False, description="Every place; otherwise old_text must be there exactly once.")


class PatchFile(Arguments):
    path: str = Field(description="From the workspace's root.")
    edits: list[Edit] = Field(min_length=1, max_length=MAX_EDITS, description="Made in order, all or none.")


def writing_tools(root: str) -> list[BuiltinTool]:
    # Calls of one answer run together, and two changes of one file must not.
    changing = trio.Lock()

    async def write_file(arguments: WriteFile) -> str:
        async with changing:
            return await trio.to_thread.run_sync(_write_file, root, arguments)

    async def patch_file(arguments: PatchFile) -> str:
        async with changing:
            return await trio.to_thread.run_sync(_patch_file, root, arguments)

    return [
        BuiltinTool(
            name="write_file",
            level="workspace",
            description="Write a text file of the workspace, new or in place of what is there.",
            arguments=WriteFile,
            run=write_file,
        ),
        BuiltinTool(
            name="patch_file",
            level="workspace",
            description="Change a text file of the workspace by replacing pieces of its text.",
            arguments=PatchFile,
            run=patch_file,
        ),
    ]


def _write_file(root: str, wanted: WriteFile) -> str:
    data = _encoded(wanted.content)
    with place(root, wanted.path, make_folders=True) as found:
        there = _facts(found)
        _replace(found, data, mode=0o666 if there is None else stat.S_IMODE(there.st_mode), new=there is None)
        return f"{'Wrote' if there is None else 'Replaced'} {found.shown}, {len(data)} bytes."


def _patch_file(root: str, wanted: PatchFile) -> str:
    with place(root, wanted.path) as found:
        before, facts = _content(found)
        changed, count = _edited(before, wanted, found.shown)
        _replace(
            found, _encoded(changed), mode=stat.S_IMODE(facts.st_mode), new=False, unless=lambda: _differs(found, facts)
        )
        return f"Changed {count} {'place' if count == 1 else 'places'} in {found.shown}."


def _edited(text: str, wanted: PatchFile, shown: str) -> tuple[str, int]:
    # A model writes plain newlines, whatever the file has.
    crlf = "\r\n" in text and "\n" not in text.replace("\r\n", "")
    count = 0
    for number, edit in enumerate(wanted.edits, 1):
        old, new = (_with_crlf(each) if crlf else each for each in (edit.old_text, edit.new_text))
        found = text.count(old)
        if found == 0:
            raise ToolRefusal(f"Edit {number}: its old_text is not in {shown}. Nothing was changed.")
        if found > 1 and not edit.replace_all:
            raise ToolRefusal(
                f"Edit {number}: its old_text is {found} times in {shown}; give more of what is around it, or "
                f"replace_all. Nothing was changed."
            )
        # Before it is made: a few edits that each double a text make more of it than a machine has room for.
        _check_size(len(text) + found * (len(new) - len(old)))
        text = text.replace(old, new)
        count += found
    return text, count


def _with_crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _content(found: Place) -> tuple[str, os.stat_result]:
    with open(found.open_file(), "rb") as file:
        facts = os.fstat(file.fileno())
        if facts.st_size > MAX_WRITTEN_BYTES:
            raise ToolRefusal(f"{found.shown} has {facts.st_size} bytes; at most {MAX_WRITTEN_BYTES} can be patched.")
        data = file.read(MAX_WRITTEN_BYTES + 1)
    try:
        return data.decode(), facts
    except UnicodeDecodeError:
        raise ToolRefusal(f"{found.shown} is not UTF-8 text, so it cannot be patched.") from None


def _encoded(text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise ToolRefusal("The text has half a surrogate pair, which is no character.") from None
    _check_size(len(data))
    return data


def _check_size(size: int) -> None:
    if size > MAX_WRITTEN_BYTES:
        raise ToolRefusal(f"The content has {size} bytes; a file can be written with {MAX_WRITTEN_BYTES}.")


def _facts(found: Place) -> os.stat_result | None:
    """What is there already; None for nothing. Raises ToolRefusal when it is no regular file."""
    try:
        facts = os.stat(found.name, dir_fd=found.folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explained(error, found.shown) from error
    if not stat.S_ISREG(facts.st_mode):
        raise ToolRefusal(f"{found.shown} is there and is no regular file.")
    return facts


def _differs(found: Place, facts: os.stat_result) -> bool:
    now = _facts(found)
    return now is None or (now.st_ino, now.st_mtime_ns, now.st_size) != (facts.st_ino, facts.st_mtime_ns, facts.st_size)


def _replace(found: Place, data: bytes, *, mode: int, new: bool, unless: Callable[[], bool] | None = None) -> None:
    """Put `data` where the place is. A link that is put there meanwhile is replaced, never followed."""
    # Without the file's name, which may be as long as a name can be.
    beside = f".{secrets.token_hex(8)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(beside, flags, mode, dir_fd=found.folder)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                if not new:
                    # The umask took bits away that the file has.
                    os.fchmod(file.fileno(), mode)
            if unless is not None and unless():
                raise ToolRefusal(f"{found.shown} was changed by somebody else meanwhile. Read it again.")
            os.rename(beside, found.name, src_dir_fd=found.folder, dst_dir_fd=found.folder)
        except BaseException:
            os.unlink(beside, dir_fd=found.folder)
            raise
    except OSError as error:
        raise explained(error, found.shown) from error
