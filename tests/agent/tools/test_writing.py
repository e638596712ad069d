"""Writing and patching: whole or not at all."""

import os
import stat

import trio
from tests.agent.tools.conftest import Bench


async def test_a_file_is_written_with_the_folders_on_the_way(bench: Bench):
    assert await bench.ok("write_file", path="a/b/c.txt", content="hé\n") == "Wrote a/b/c.txt, 4 bytes."
    assert (bench.root / "a/b/c.txt").read_text() == "hé\n"
    assert await bench.ok("write_file", path="a/b/c.txt", content="") == "Replaced a/b/c.txt, 0 bytes."
    assert sorted(os.listdir(bench.root / "a/b")) == ["c.txt"]


async def test_a_file_keeps_its_mode(bench: Bench):
    path = bench.root / "run.sh"
    path.write_text("old")
    path.chmod(0o755)
    await bench.ok("write_file", path="run.sh", content="new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


async def test_edits_are_made_all_or_none(bench: Bench):
    path = bench.root / "a.py"
    path.write_text("one\ntwo\ntwo\n")
    edits = [{"old_text": "one", "new_text": "1"}, {"old_text": "two", "new_text": "2"}]
    assert "2 times" in await bench.refused("patch_file", path="a.py", edits=edits)
    assert "not in a.py" in await bench.refused(
        "patch_file", path="a.py", edits=[edits[0], {"old_text": "three", "new_text": "3"}]
    )
    assert path.read_text() == "one\ntwo\ntwo\n"
    edits[1]["replace_all"] = True
    assert await bench.ok("patch_file", path="a.py", edits=edits) == "Changed 3 places in a.py."
    assert path.read_text() == "1\n2\n2\n"


async def test_line_ends_of_windows_are_kept(bench: Bench):
    (bench.root / "a.txt").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    await bench.ok("patch_file", path="a.txt", edits=[{"old_text": "one\ntwo", "new_text": "1\n2"}])
    assert (bench.root / "a.txt").read_bytes() == b"1\r\n2\r\nthree\r\n"


async def test_what_is_not_utf8_is_not_patched(bench: Bench):
    (bench.root / "a.txt").write_bytes(b"\xff\xfe one")
    assert "not UTF-8" in await bench.refused(
        "patch_file", path="a.txt", edits=[{"old_text": "one", "new_text": "two"}]
    )
    assert "surrogate" in await bench.refused("write_file", path="b.txt", content="\ud800")


async def test_two_patches_of_one_answer_are_both_made(bench: Bench):
    (bench.root / "a.txt").write_text("one two")
    tools = bench.tools()
    async with trio.open_nursery() as nursery:
        for old, new in (("one", "1"), ("two", "2")):
            edits = [{"old_text": old, "new_text": new}]
            nursery.start_soon(
                lambda edits=edits: tools.call("patch_file", {"path": "a.txt", "edits": edits}, call_id="")
            )
    assert (bench.root / "a.txt").read_text() == "1 2"


async def test_a_folder_is_not_written_over(bench: Bench):
    (bench.root / "sub").mkdir()
    assert "no regular file" in await bench.refused("write_file", path="sub", content="x")
    assert "no regular file" in await bench.refused("write_file", path=".", content="x")


async def test_tasks_are_kept_and_shown(bench: Bench):
    await bench.ok("task_create", text="look")
    await bench.ok("task_create", text="leap")
    assert await bench.ok("task_update", id=1, state="completed") == "1. [x] look\n2. [ ] leap"
    assert "no task 7" in await bench.refused("task_update", id=7, state="completed")
    assert await bench.ok("task_list") == "1. [x] look\n2. [ ] leap"


async def test_edits_that_each_double_a_text_are_refused_before_it_is_made(bench: Bench):
    (bench.root / "a.txt").write_text("a")
    edits = [{"old_text": "a", "new_text": "aa", "replace_all": True}] * 64
    assert "can be written with" in await bench.refused("patch_file", path="a.txt", edits=edits)
    assert (bench.root / "a.txt").read_text() == "a"


async def test_a_file_whose_name_is_as_long_as_a_name_can_be_is_written(bench: Bench):
    name = "é" * 127
    await bench.ok("write_file", path=name, content="x")
    await bench.ok("write_file", path=name, content="y")
    assert (bench.root / name).read_text() == "y"
