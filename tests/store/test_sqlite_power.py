"""Power cuts at random moments. Unlike killing the process, they tell `synchronous=FULL` from weaker settings."""

import random
import shutil
from pathlib import Path

import pytest
import trio
from tests.store.power import PowerLog
from tests.store.story import Story, look, writes
from tests.store.watched_vfs import unwatched, watched_vfs

from meerkatd.errors import MeerkatError
from meerkatd.store.sqlite import SqliteBackend, connection

TURNS = 40


class MarkingStory(Story):
    """Marks each acknowledged write in the log of the disk."""

    def __init__(self, turns: int, log: PowerLog) -> None:
        super().__init__(turns)
        self._log = log

    def acknowledged(self, name: str) -> None:
        self._log.mark(name)


async def _lived(folder: Path, monkeypatch: pytest.MonkeyPatch, *, synchronous: str) -> PowerLog:
    """The log of a realm's life, with the log folded several times on the way."""
    pragmas = tuple((name, synchronous if name == "synchronous" else value) for name, value in connection.PRAGMAS)
    monkeypatch.setattr(connection, "PRAGMAS", pragmas)
    monkeypatch.setattr(connection, "FOLD_PAGES", 60)
    log = PowerLog()
    with trio.fail_after(30), watched_vfs(log) as vfs:
        store = await SqliteBackend(vfs=vfs).open(str(folder), create=True)
        story = MarkingStory(TURNS, log)
        await story.tell(store)
        await store.tidy()
        await store.aclose()
    assert len(story.record.written) == writes(TURNS)
    monkeypatch.undo()
    return log


async def _losses(log: PowerLog, folder: Path, cuts: int, *, torn: bool) -> list[str]:
    """What is wrong after each of `cuts` cuts: acknowledged writes that are gone, and files that cannot be read."""
    wrong = []
    dice = random.Random(cuts)
    for number in range(cuts):
        cut, image = dice.randrange(len(log)), folder / f"cut {number}"
        marks = log.image(image, cut, number, torn=torn)
        try:
            with watched_vfs(unwatched, "unwatched") as vfs:
                lost = marks - await look(SqliteBackend(vfs=vfs), str(image), TURNS)
            if lost:
                wrong.append(f"cut {cut}, seed {number}: lost {sorted(lost)}")
        except (MeerkatError, AssertionError) as error:
            wrong.append(f"cut {cut}, seed {number}: {error!r}")
        shutil.rmtree(image)
    return wrong


@pytest.mark.parametrize("cuts", [60, pytest.param(5000, marks=pytest.mark.long)])
@pytest.mark.parametrize("torn", [False, True], ids=["dropped", "torn"])
async def test_no_power_cut_loses_an_acknowledged_write(
    cuts: int, torn: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "realm").mkdir()
    log = await _lived(tmp_path / "realm", monkeypatch, synchronous="FULL")
    assert await _losses(log, tmp_path, cuts, torn=torn) == []


async def test_power_cuts_catch_a_store_that_does_not_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured: with NORMAL most cuts lose acknowledged writes, which no number of kills of the process shows."""
    (tmp_path / "realm").mkdir()
    log = await _lived(tmp_path / "realm", monkeypatch, synchronous="NORMAL")
    assert len(await _losses(log, tmp_path, 40, torn=False)) > 20
