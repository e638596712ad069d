"""`read_file` and `list_files`: looking at files within the workspace. Blocking parts run in a thread."""

import codecs
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import IO

import trio
from pydantic import Field

from .tool import Arguments, BuiltinTool
from .workspace import Place, ToolRefusal, explained, place, spelled

# A page: some 15,000 tokens at most, which every model's context takes. The rest is read with `start_line`.
MAX_PAGE_CHARS = 48_000
MAX_PAGE_LINES = 2000
# Of one line, such as that of a minified script.
MAX_LINE_CHARS = 2000
# UTF-16 cannot be read line by line as bytes; a text file of this size is a mistake.
MAX_WIDE_BYTES = 8 * 1024 * 1024
# Lines before `start_line` are read to be counted; more than this takes seconds.
MAX_SCANNED_BYTES = 256 * 1024 * 1024
_SNIFFED_BYTES = 8192
_WIDE = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}

MAX_ENTRIES = 500
# Looked at for a listing, with a pattern that few names match.
MAX_VISITED = 50_000
MAX_DEPTH = 32
# Not entered unless asked for by name: thousands of files that nobody wrote.
PASSED_BY = frozenset(
    (".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache",
     ".pytest_cache", ".tox", "target")
)  # fmt: skip


class ReadFile(Arguments):
    path: str = Field(description="From the workspace's root.")
    start_line: int = Field(1, ge=1, description="First line to read, from 1.")
    max_lines: int = Field(MAX_PAGE_LINES, ge=1, le=MAX_PAGE_LINES)


class ListFiles(Arguments):
    path: str = Field(".", description="A folder, from the workspace's root.")
    recursive: bool = Field(False, description="Also what is in folders below it.")
    pattern: str | None = Field(None, description="Only names, or paths below the folder, that match, such as *.py.")


def reading_tools(root: str) -> list[BuiltinTool]:
    async def read_file(arguments: ReadFile) -> str:
        return await trio.to_thread.run_sync(_read_file, root, arguments, abandon_on_cancel=True)

    async def list_files(arguments: ListFiles) -> str:
        return await trio.to_thread.run_sync(_list_files, root, arguments, abandon_on_cancel=True)

    return [
        BuiltinTool(
            name="read_file",
            level="safe",
            description="Read a text file of the workspace.",
            arguments=ReadFile,
            run=read_file,
        ),
        BuiltinTool(
            name="list_files",
            level="safe",
            description="List a folder of the workspace; folders end in /.",
            arguments=ListFiles,
            run=list_files,
        ),
    ]


def _read_file(root: str, wanted: ReadFile) -> str:
    with place(root, wanted.path) as found, open(found.open_file(), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        first = file.read(_SNIFFED_BYTES)
        file.seek(0)
        encoding = _WIDE.get(first[:2])
        if encoding is not None:
            if size > MAX_WIDE_BYTES:
                raise ToolRefusal(f"{found.shown} is UTF-16 text of {size} bytes, which is too much to be read.")
            text = file.read(MAX_WIDE_BYTES).decode(encoding, errors="replace")
            return _page(iter(text.splitlines()), wanted, found.shown, note="It is UTF-16 text.")
        if b"\0" in first:
            raise ToolRefusal(f"{found.shown} is a binary file of {size} bytes, not text.")
        lines = _Lines(file)
        page = _page(iter(lines), wanted, found.shown, note="")
        return f"[Some bytes are not UTF-8; they are shown as \ufffd.]\n{page}" if lines.damaged else page


class _Lines:
    """Lines of a file, each cut to a length; never more of the file in memory than one chunk and one line."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.damaged = False

    def __iter__(self) -> Iterator[str]:
        scanned, first = 0, True
        while line := self._file.readline(MAX_LINE_CHARS * 4):
            scanned += len(line)
            cut = not line.endswith(b"\n")
            # The rest of a line that is longer is passed over.
            while cut and scanned <= MAX_SCANNED_BYTES and (rest := self._file.readline(_SNIFFED_BYTES)):
                scanned += len(rest)
                cut = not rest.endswith(b"\n")
            yield self._decoded(line.removeprefix(codecs.BOM_UTF8) if first else line)
            first = False
            if scanned > MAX_SCANNED_BYTES:
                raise ToolRefusal(f"The file is longer than {MAX_SCANNED_BYTES} bytes up to there; use another way.")

    def _decoded(self, line: bytes) -> str:
        # Cut in the middle of a character, its last bytes are no damage.
        text = codecs.getincrementaldecoder("utf-8")(errors="replace").decode(line)
        self.damaged = self.damaged or "\ufffd" in text
        return text.rstrip("\r\n")


def _page(lines: Iterator[str], wanted: ReadFile, shown: str, *, note: str) -> str:
    page: list[str] = []
    chars = number = 0
    more = False
    for number, line in enumerate(lines, 1):
        if number < wanted.start_line:
            continue
        if len(page) == wanted.max_lines or chars > MAX_PAGE_CHARS:
            more = True
            break
        text = line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]}[... the line goes on]"
        page.append(text)
        chars += len(text) + 1
    if not page and wanted.start_line > 1:
        raise ToolRefusal(f"{shown} has {number} lines.")
    if not page:
        return "[The file is empty.]"
    if more:
        last = wanted.start_line + len(page) - 1
        note = f"{note} Lines {wanted.start_line} to {last}; go on with start_line={last + 1}.".strip()
    return "\n".join([*page, *([f"[{note}]"] if note else [])])


@dataclass(slots=True)
class _Listing:
    wanted: ListFiles
    entries: list[str]
    visited: int = 0
    passed_by: bool = False
    cut: bool = False

    def full(self) -> bool:
        self.cut = self.cut or len(self.entries) >= MAX_ENTRIES or self.visited >= MAX_VISITED
        return self.cut


def _list_files(root: str, wanted: ListFiles) -> str:
    listing = _Listing(wanted, [])
    with place(root, wanted.path) as found:
        descriptor = found.open_folder()
        try:
            _list_folder(descriptor, "", listing, depth=1)
        finally:
            os.close(descriptor)
        return _listed(listing, found)


def _listed(listing: _Listing, found: Place) -> str:
    notes = []
    if listing.cut:
        notes.append("[There are more; name a folder below, or a pattern.]")
    if listing.passed_by:
        notes.append("[Folders marked (not entered) can be listed by name.]")
    if not listing.entries:
        notes.append(f"[Nothing in {found.shown}{' matches' if listing.wanted.pattern else ''}.]")
    return "\n".join([*listing.entries, *notes])


def _list_folder(descriptor: int, prefix: str, listing: _Listing, *, depth: int) -> None:
    try:
        names = sorted(os.listdir(descriptor))
    except OSError as error:
        raise explained(error, prefix or ".") from error
    for name in names:
        if listing.full():
            return
        listing.visited += 1
        _list_entry(descriptor, name, f"{prefix}{name}", listing, depth=depth)


def _list_entry(descriptor: int, name: str, path: str, listing: _Listing, *, depth: int) -> None:
    try:
        facts = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except OSError:
        # Gone meanwhile: a listing tells what is there.
        return
    wanted = listing.wanted
    matches = wanted.pattern is None or fnmatchcase(name, wanted.pattern) or fnmatchcase(path, wanted.pattern)
    if not stat.S_ISDIR(facts.st_mode):
        if matches:
            listing.entries.append(spelled(_entry(descriptor, name, path, facts)))
        return
    enter = wanted.recursive and name not in PASSED_BY and depth < MAX_DEPTH
    if wanted.recursive and not enter:
        listing.passed_by = True
    if matches:
        listing.entries.append(spelled(f"{path}/{' (not entered)' if wanted.recursive and not enter else ''}"))
    if not enter:
        return
    try:
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
    except OSError as error:
        listing.entries.append(spelled(f"{path}/ ({os.strerror(error.errno or 0)})"))
        return
    try:
        _list_folder(below, f"{path}/", listing, depth=depth + 1)
    finally:
        os.close(below)


def _entry(descriptor: int, name: str, path: str, facts: os.stat_result) -> str:
    if stat.S_ISLNK(facts.st_mode):
        try:
            return f"{path} -> {os.readlink(name, dir_fd=descriptor)}"
        except OSError:
            return path
    return f"{path} ({facts.st_size} bytes)" if stat.S_ISREG(facts.st_mode) else f"{path} (special)"
