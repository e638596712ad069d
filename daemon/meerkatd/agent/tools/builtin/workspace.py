"""The folder that a session's file tools may touch, and how nothing leads out of it.

A path is followed one component at a time, each opened relative to the descriptor of the one before and never through a
symbolic link. Links are read and followed by hand, so one that stays inside works like everywhere else, and one that
leads out is refused. `..` goes back on our own stack of descriptors, not on the file system's: whatever is renamed or
swapped for a link meanwhile, no step can end outside.

Blocking; call it in a thread. Doubt: hard links and mounts inside of the folder belong to it, whatever they share.
"""

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# As the kernel's own limit: a loop of links ends here.
MAX_LINKS = 40
# Each folder on the way is a descriptor of the daemon's while a file is looked at, and several tools run at once.
MAX_FOLDERS = 100
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# What opening says of a link where none was a moment ago, with O_NOFOLLOW; Linux and macOS, file and folder.
_SWAPPED = (errno.ELOOP, errno.EMLINK, errno.ENOTDIR)


class ToolRefusal(Exception):
    """A call that cannot be carried out as it is; the text is for the model, which can do better."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads: an open folder and a name in it; "." for the folder itself.

    Attributes:
        shown: the path from the workspace's root, links resolved, spelled as one line.
    """

    folder: int
    name: str
    shown: str

    def open_folder(self) -> int:
        """A descriptor of the folder that this place is; the caller closes it. Raises ToolRefusal, OSError."""
        try:
            return os.open(self.name, _FOLDER, dir_fd=self.folder)
        except OSError as error:
            raise explained(error, self.shown) from error

    def open_file(self) -> int:
        """A descriptor, for reading, of the regular file that this place is; the caller closes it."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            descriptor = os.open(self.name, flags, dir_fd=self.folder)
        except OSError as error:
            raise explained(error, self.shown) from error
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            return descriptor
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise ToolRefusal(f"{self.shown} is {what}.")


@contextmanager
def place(root: str, path: str, *, make_folders: bool = False) -> Iterator[Place]:
    """Where `path` leads within `root`.

    Args:
        root: absolute, without links.
        path: from the root, or absolute and below it.
        make_folders: make the folders on the way that do not exist.

    Raises:
        ToolRefusal: it leads out of the root, or a folder on the way does not exist.
    """
    walk = _Walk(root)
    try:
        yield walk.to(path, make_folders)
    finally:
        walk.close()


class _Walk:
    def __init__(self, root: str) -> None:
        self._root = root
        try:
            self._folders = [os.open(root, _FOLDER)]
        except OSError as error:
            raise explained(error, root) from error
        self._names: list[str] = []
        self._links = 0

    def close(self) -> None:
        for descriptor in self._folders:
            os.close(descriptor)

    def to(self, path: str, make_folders: bool) -> Place:
        if "\0" in path:
            raise ToolRefusal("A path cannot contain a NUL character.")
        todo = deque(self._parts(path, path))
        while todo:
            part = todo.popleft()
            if part == "..":
                self._back(path)
                continue
            target = self._link(part)
            if target is not None:
                todo.extendleft(reversed(self._parts(target, path)))
            elif todo:
                self._enter(part, make_folders)
            else:
                return Place(self._folders[-1], part, self._shown(part))
        return Place(self._folders[-1], ".", self._shown() or ".")

    def _shown(self, *more: str) -> str:
        return spelled("/".join([*self._names, *more]))

    def _parts(self, path: str, asked: str) -> list[str]:
        """The components of a path or of a link's target; an absolute one begins again at the root."""
        if path.startswith("/"):
            inside = os.path.relpath(path, self._root)
            # Only the beginning is compared as text: what follows is walked like everything else.
            if inside.split("/")[0] == ".." or not f"{path.rstrip('/')}/".startswith(f"{self._root.rstrip('/')}/"):
                raise _outside(asked)
            path = path[len(self._root) :]
            while len(self._folders) > 1:
                self._back(asked)
        return [part for part in path.split("/") if part not in ("", ".")]

    def _back(self, asked: str) -> None:
        if len(self._folders) == 1:
            raise _outside(asked)
        os.close(self._folders.pop())
        self._names.pop()

    def _link(self, part: str) -> str | None:
        """The target of the link that this component is; None when it is none."""
        try:
            target = os.readlink(part, dir_fd=self._folders[-1])
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return None
            raise explained(error, self._shown(part)) from error
        self._links += 1
        if self._links > MAX_LINKS:
            raise ToolRefusal("Too many symbolic links on the way.")
        return target

    def _enter(self, part: str, make: bool) -> None:
        if len(self._folders) > MAX_FOLDERS:
            raise ToolRefusal(f"The path is deeper than {MAX_FOLDERS} folders.")
        try:
            try:
                descriptor = os.open(part, _FOLDER, dir_fd=self._folders[-1])
            except FileNotFoundError:
                if not make:
                    raise
                os.mkdir(part, dir_fd=self._folders[-1])
                descriptor = os.open(part, _FOLDER, dir_fd=self._folders[-1])
        except OSError as error:
            raise explained(error, self._shown(part)) from error
        self._folders.append(descriptor)
        self._names.append(part)


def _outside(path: str) -> ToolRefusal:
    return ToolRefusal(f"{path} is outside of the workspace; only what is inside can be used.")


def spelled(text: str) -> str:
    """A name that is no UTF-8, or has control characters, spelled so that it can travel and is one line."""
    text = text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def explained(error: OSError, shown: str) -> ToolRefusal:
    """An error of the file system in words for the model."""
    if error.errno in _SWAPPED:
        return ToolRefusal(f"{shown} is no folder or file that can be followed.")
    if error.errno == errno.ENOENT:
        return ToolRefusal(f"{shown} does not exist.")
    return ToolRefusal(f"{shown}: {os.strerror(error.errno or 0)}.")
