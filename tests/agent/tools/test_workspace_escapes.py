"""No path leads out of the workspace: not by `..`, not by links, and not while links are swapped under it."""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agent.tools.conftest import Bench

from meerkatd.agent.tools.builtin.workspace import ToolRefusal, place

SECRET = "the secret outside"
NAMES = ("a", "b", "c")
# In memory, where there is such a folder: thousands of links are made here.
_WHERE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@contextmanager
def two_folders() -> Iterator[tuple[Path, Path]]:
    """A workspace, and beside it a folder with the same names in it and a secret in each file."""
    top = Path(os.path.realpath(tempfile.mkdtemp(prefix="ws-", dir=_WHERE)))
    inside, outside = top / "in", top / "out"
    for folder in (inside, outside):
        for name in NAMES:
            (folder / name).mkdir(parents=True)
            for inner in NAMES:
                (folder / name / inner).write_text(SECRET if folder is outside else "mine")
    try:
        yield inside, outside
    finally:
        shutil.rmtree(top)


def read(root: Path, path: str) -> str | None:
    try:
        with place(str(root), path) as found, open(found.open_file()) as file:
            return file.read()
    except ToolRefusal:
        return None


PARTS = st.lists(st.sampled_from([*NAMES, "..", ".", "", "link", "up", "away"]), min_size=1, max_size=8)
TARGETS = st.lists(st.sampled_from([*NAMES, "..", "../..", "../out", "link", "up"]), min_size=1, max_size=4)


def test_whatever_the_links_and_the_path_are_only_what_is_inside_is_read():
    """The reference is the kernel's own walk: what it finds inside must be found, and nothing else."""
    with two_folders() as (inside, outside):
        for folder in (inside, inside / "a"):
            (folder / "away").symlink_to(outside / "a")

        @settings(max_examples=200, deadline=None, database=None)
        @given(parts=PARTS, targets=st.fixed_dictionaries({"link": TARGETS, "up": TARGETS}), absolute=st.booleans())
        def check(parts, targets, absolute):
            links = {folder / name: target for folder in (inside, inside / "a") for name, target in targets.items()}
            for link, target in links.items():
                link.symlink_to("/".join(target))
            try:
                compare(inside, "/".join(parts), absolute)
            finally:
                for link in links:
                    link.unlink()

        check()


def compare(inside: Path, path: str, absolute: bool) -> None:
    content = read(inside, f"{inside}/{path}" if absolute else path)
    assert content in (None, "mine")
    if (absolute or not path.startswith("/")) and _steps(inside, path) is not None:
        assert content == "mine"


def _steps(root: Path, path: str) -> str | None:
    """The real path when the kernel finds a file there, every prefix of the way is inside, and no link is on it."""
    walked = str(root)
    for part in path.split("/"):
        walked = os.path.join(walked, part)
        real = os.path.realpath(walked)
        if os.path.islink(walked) or not (real == str(root) or real.startswith(f"{root}/")):
            return None
        if not os.path.exists(walked):
            return None
    return walked if os.path.isfile(walked) and not path.endswith("/") else None


@pytest.mark.parametrize("swapped", ["folder", "file"])
def test_swapping_links_under_a_reader_and_a_writer_lets_nothing_out_and_nothing_in(swapped, bench: Bench):
    """Hundreds of opens while another thread swaps a folder (or a file) for a link that leads out, and back."""
    with two_folders() as (inside, outside):
        stop = threading.Event()
        swapping = threading.Thread(target=_swap, args=(inside, outside, swapped, stop))
        swapping.start()
        seen = set()
        try:
            for _ in range(800):
                seen.add(read(inside, "a/b"))
                seen.add(read(inside, "a/../a/./b"))
                _write(inside, "a/b")
        finally:
            stop.set()
            swapping.join()
        assert seen <= {None, "mine", "written"}
        assert seen & {"mine", "written"}
        written = [path for path in outside.rglob("*") if path.is_file() and path.read_text() != SECRET]
        assert written == []
        assert sorted(path.name for path in (outside / "a").iterdir()) == list(NAMES)


def _write(root: Path, path: str) -> None:
    from meerkatd.agent.tools.builtin import writing

    try:
        writing._write_file(str(root), writing.WriteFile(path=path, content="written"))
    except ToolRefusal:
        return


def _swap(inside: Path, outside: Path, what: str, stop: threading.Event) -> None:
    target, kept = (inside / "a", inside / "kept") if what == "folder" else (inside / "a/b", inside / "kept")
    aim = outside / "a" if what == "folder" else outside / "a/b"
    while not stop.is_set():
        try:
            target.rename(kept)
            target.symlink_to(aim)
            target.unlink()
            kept.rename(target)
        except OSError:
            # The writer has put a file there meanwhile; begin again from what is there.
            if target.is_symlink():
                target.unlink()
            if kept.exists() and not target.exists():
                kept.rename(target)


async def test_a_link_that_stays_inside_works_and_one_that_leaves_does_not(bench: Bench):
    (bench.root / "sub").mkdir()
    (bench.root / "sub/a.txt").write_text("hello")
    (bench.root / "in").symlink_to("sub/a.txt")
    (bench.root / "absolute").symlink_to(bench.root / "sub")
    (bench.root / "out").symlink_to("/etc/hostname")
    (bench.root / "loop").symlink_to("loop")
    assert await bench.ok("read_file", path="in") == "hello"
    assert await bench.ok("read_file", path="absolute/a.txt") == "hello"
    assert await bench.ok("read_file", path=str(bench.root / "sub/a.txt")) == "hello"
    assert "outside" in await bench.refused("read_file", path="out")
    assert "outside" in await bench.refused("write_file", path="out", content="x")
    assert "links" in await bench.refused("read_file", path="loop")


async def test_a_write_through_a_link_inside_goes_to_its_target(bench: Bench):
    (bench.root / "real.txt").write_text("old")
    (bench.root / "link.txt").symlink_to("real.txt")
    await bench.ok("write_file", path="link.txt", content="new")
    assert (bench.root / "real.txt").read_text() == "new"
    assert (bench.root / "link.txt").is_symlink()


async def test_a_search_does_not_follow_links_out(bench: Bench, tmp_path: Path):
    (tmp_path / "secret.txt").write_text(SECRET)
    (bench.root / "away").symlink_to(tmp_path)
    (bench.root / "file").symlink_to(tmp_path / "secret.txt")
    assert await bench.ok("search_files", pattern="secret") == "[No line was found.]"
    assert "outside" in await bench.refused("search_files", pattern="secret", path="away")


async def test_a_workspace_that_is_gone_is_told(bench: Bench):
    bench.root.rmdir()
    assert "does not exist" in await bench.refused("list_files")
