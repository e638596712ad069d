"""Searches files below an inherited descriptor. Run by `searching`, never imported by it; the standard library alone.

The order comes as JSON on stdin, the answer goes as JSON to stdout: `lines`, or `error`. Links are not followed, and
every file is opened relative to the folder that it was found in.
"""

import json
import os
import re
import resource
import stat
import sys
from fnmatch import fnmatchcase
from typing import Any

# Whatever becomes of the daemon meanwhile, this process ends by itself.
CPU_SECONDS = 30
MEMORY_BYTES = 1024 * 1024 * 1024
MAX_MATCHES = 200
MAX_LINE_CHARS = 300
# Larger ones are data.
MAX_FILE_BYTES = 16 * 1024 * 1024
PASSED_BY = {
    ".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache",
    ".pytest_cache", ".tox", "target",
}  # fmt: skip


class _Search:
    def __init__(self, order: dict[str, Any]) -> None:
        flags = re.IGNORECASE if order["ignore_case"] else 0
        self.pattern = re.compile(order["pattern"] if order["regex"] else re.escape(order["pattern"]), flags)
        self.files: str | None = order["files"]
        self.lines: list[str] = []
        self.left_out = 0

    def folder(self, descriptor: int, prefix: str) -> None:
        try:
            names = sorted(os.listdir(descriptor))
        except OSError:
            return
        for name in names:
            if len(self.lines) >= MAX_MATCHES:
                return
            try:
                mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode) and name not in PASSED_BY:
                    self.below(descriptor, name, f"{prefix}{name}/")
                elif stat.S_ISREG(mode) and self.wants(name, prefix):
                    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
                    self.file(os.open(name, flags, dir_fd=descriptor), f"{prefix}{name}")
            except OSError:
                # Gone, not ours, or swapped for a link meanwhile: there is nothing to be found in it.
                continue

    def below(self, descriptor: int, name: str, prefix: str) -> None:
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
        try:
            self.folder(inner, prefix)
        finally:
            os.close(inner)

    def wants(self, name: str, prefix: str) -> bool:
        return self.files is None or fnmatchcase(name, self.files) or fnmatchcase(f"{prefix}{name}", self.files)

    def file(self, descriptor: int, path: str) -> None:
        with open(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                return
            if facts.st_size > MAX_FILE_BYTES:
                self.left_out += 1
                return
            data = file.read(MAX_FILE_BYTES)
        if b"\0" in data[:8192]:
            return
        # Lines as `read_file` counts them: a form feed or a line separator of Unicode ends none.
        lines = data.decode("utf-8", "replace").removesuffix("\n").split("\n") if data else []
        for number, line in enumerate((each.removesuffix("\r") for each in lines), 1):
            if self.pattern.search(line):
                if len(self.lines) >= MAX_MATCHES:
                    return
                shown = line.strip() if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS].strip()}[...]"
                self.lines.append(f"{_spelled(path)}:{number}: {shown}")

    def answer(self) -> list[str]:
        notes = []
        if len(self.lines) >= MAX_MATCHES:
            notes.append(f"[Only the first {MAX_MATCHES} lines; there may be more.]")
        if self.left_out:
            notes.append(f"[{self.left_out} files of more than {MAX_FILE_BYTES} bytes were left out.]")
        return [*(self.lines or ["[No line was found.]"]), *notes]


def _spelled(path: str) -> str:
    # As in `workspace`, which cannot be imported here: a name with a newline must not look like another line's find.
    path = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in path)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    order = json.load(sys.stdin)
    try:
        search = _Search(order)
    except re.error as error:
        print(json.dumps({"error": f"The pattern is no regular expression: {error}."}))
        return
    if order["is_file"]:
        search.file(order["descriptor"], order["shown"])
    else:
        search.folder(order["descriptor"], order["shown"])
    print(json.dumps({"lines": search.answer()}))


if __name__ == "__main__":
    main()
