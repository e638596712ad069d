"""A disk that loses power: the log of all operations on a folder's files, and the images that a cut may leave.

The model of a disk. What was synced is there. Of what a file was told since its last sync, a cut keeps what it likes:
with `torn`, each sector of 512 bytes of each write by the toss of a coin, each change of length too; without, nothing.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

from tests.store.watched_vfs import Operation

SECTOR = 512


@dataclass
class _File:
    """One file's bytes as they are sure to be, and what it was told since."""

    synced: bytearray | None = None
    pending: list[Operation] = field(default_factory=list)

    def settle(self) -> None:
        for operation in self.pending:
            self.synced = _applied(self.synced, operation)
        self.pending.clear()

    def left_by_a_cut(self, dice: random.Random, *, torn: bool) -> bytearray | None:
        left = None if self.synced is None else bytearray(self.synced)
        if not torn:
            return left
        for operation in self.pending:
            if operation.kind != "write":
                left = _applied(left, operation) if dice.random() < 0.5 else left
                continue
            for start in range(0, len(operation.data), SECTOR):
                if dice.random() < 0.5:
                    part = operation.data[start : start + SECTOR]
                    left = _applied(left, Operation("write", operation.path, operation.number + start, part))
        return left


def _applied(content: bytearray | None, operation: Operation) -> bytearray | None:
    if operation.kind == "delete":
        return None
    content = bytearray() if content is None else content
    if operation.kind == "truncate":
        del content[operation.number :]
    if operation.kind == "write":
        end = operation.number + len(operation.data)
        content.extend(bytes(max(0, end - len(content))))
        content[operation.number : end] = operation.data
    return content


class PowerLog:
    """Writes down every operation, and marks of the caller between them."""

    def __init__(self) -> None:
        self._entries: list[Operation | str] = []

    def __call__(self, operation: Operation) -> None:
        if operation.kind not in ("open", "read"):
            self._entries.append(operation)

    def mark(self, text: str) -> None:
        """A write that was acknowledged at this point of the log."""
        self._entries.append(text)

    def __len__(self) -> int:
        return len(self._entries)

    def image(self, folder: Path, cut: int, seed: int, *, torn: bool) -> set[str]:
        """Write into `folder` what a cut before entry `cut` leaves; returns the marks before it."""
        files: dict[str, _File] = {}
        marks: set[str] = set()
        for entry in self._entries[:cut]:
            if isinstance(entry, str):
                marks.add(entry)
                continue
            file = files.setdefault(entry.path, _File())
            if entry.kind != "sync":
                file.pending.append(entry)
            # SQLite asks for a deletion to be synced at once, or does not depend on it.
            if entry.kind in ("sync", "delete"):
                file.settle()
        dice = random.Random(seed)
        folder.mkdir()
        for path, file in files.items():
            content = file.left_by_a_cut(dice, torn=torn)
            if content is not None:
                (folder / Path(path).name).write_bytes(content)
        return marks
