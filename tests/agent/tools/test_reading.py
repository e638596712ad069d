"""Reading, listing and searching: bounded, and clear about what is not shown."""

import os
import time
from pathlib import Path

import pytest
from tests.agent.tools.conftest import Bench

from meerkatd.agent.tools.builtin.reading import MAX_ENTRIES, MAX_LINE_CHARS, MAX_PAGE_CHARS


async def test_a_file_is_read_as_it_is(bench: Bench):
    (bench.root / "a.txt").write_text("one\ntwo\n")
    assert await bench.ok("read_file", path="a.txt") == "one\ntwo"


async def test_a_long_file_is_read_page_by_page(bench: Bench):
    (bench.root / "a.txt").write_text("".join(f"line {number}\n" for number in range(1, 5001)))
    first = await bench.ok("read_file", path="a.txt")
    assert first.endswith("[Lines 1 to 2000; go on with start_line=2001.]")
    second = await bench.ok("read_file", path="a.txt", start_line=2001, max_lines=2)
    assert second == "line 2001\nline 2002\n[Lines 2001 to 2002; go on with start_line=2003.]"
    assert "has 5000 lines" in await bench.refused("read_file", path="a.txt", start_line=6000)


async def test_a_page_is_bounded_whatever_the_lines_are_like(bench: Bench):
    (bench.root / "a.txt").write_text("x" * 1_000_000 + "\n" + "y" * 5000 + "\nend\n")
    text = await bench.ok("read_file", path="a.txt")
    assert len(text) < 3 * MAX_LINE_CHARS
    assert text.endswith("end")
    (bench.root / "b.txt").write_text(("z" * 1000 + "\n") * 3000)
    assert len(await bench.ok("read_file", path="b.txt")) < MAX_PAGE_CHARS + 2 * MAX_LINE_CHARS


async def test_encodings_are_told_and_binaries_refused(bench: Bench):
    (bench.root / "latin").write_bytes("café\n".encode("latin-1"))
    (bench.root / "bom").write_bytes(b"\xef\xbb\xbfhello\n")
    (bench.root / "wide").write_text("wide\n", encoding="utf-16")
    (bench.root / "binary").write_bytes(b"\x7fELF\0\0\0")
    (bench.root / "empty").write_bytes(b"")
    assert (
        await bench.ok("read_file", path="latin") == "[Some bytes are not UTF-8; they are shown as \ufffd.]\ncaf\ufffd"
    )
    assert await bench.ok("read_file", path="bom") == "hello"
    assert await bench.ok("read_file", path="wide") == "wide\n[It is UTF-16 text.]"
    assert "binary" in await bench.refused("read_file", path="binary")
    assert await bench.ok("read_file", path="empty") == "[The file is empty.]"


async def test_what_is_no_regular_file_is_refused_and_does_not_hang(bench: Bench):
    os.mkfifo(bench.root / "fifo")
    (bench.root / "folder").mkdir()
    assert "no regular file" in await bench.refused("read_file", path="fifo")
    assert "a folder" in await bench.refused("read_file", path="folder")
    assert "does not exist" in await bench.refused("read_file", path="nothing/here")
    assert "a.txt" in await bench.refused("list_files", path="a.txt")


async def test_arguments_that_do_not_fit_are_told_by_name(bench: Bench):
    told = await bench.refused("read_file", file="a.txt")
    assert "path: is required" in told
    assert "file" in told
    (bench.root / "a.txt").write_text("one\ntwo\n")
    assert await bench.ok("read_file", path="a.txt", start_line="2") == "two"


async def test_a_folder_is_listed_with_links_as_links(bench: Bench):
    (bench.root / "sub").mkdir()
    (bench.root / "sub" / "b.py").write_text("12345")
    (bench.root / "a.txt").write_text("1")
    (bench.root / "link").symlink_to("/etc")
    (bench.root / "odd\nname").write_text("")
    assert (await bench.ok("list_files")).splitlines() == [
        "a.txt (1 bytes)",
        "link -> /etc",
        "odd\\nname (0 bytes)",
        "sub/",
    ]
    assert await bench.ok("list_files", recursive=True, pattern="*.py") == "sub/b.py (5 bytes)"
    assert await bench.ok("list_files", path="sub") == "b.py (5 bytes)"
    assert "matches" in await bench.ok("list_files", pattern="*.rs")


async def test_a_listing_is_bounded_and_passes_by_what_nobody_wrote(bench: Bench):
    (bench.root / "node_modules").mkdir()
    (bench.root / "node_modules" / "x.js").write_text("")
    for number in range(MAX_ENTRIES + 10):
        (bench.root / f"z{number}").write_text("")
    lines = (await bench.ok("list_files", recursive=True)).splitlines()
    assert lines[0] == "node_modules/ (not entered)"
    assert len(lines) == MAX_ENTRIES + 2
    assert await bench.ok("list_files", path="node_modules") == "x.js (0 bytes)"


async def test_lines_are_found_by_text_and_by_pattern(bench: Bench):
    (bench.root / "sub").mkdir()
    (bench.root / "sub" / "b.py").write_text("def f():\n    return 'a.b'\n")
    (bench.root / "a.txt").write_text("A.B\naxb\n")
    (bench.root / "binary").write_bytes(b"\0a.b")
    assert await bench.ok("search_files", pattern="a.b") == "sub/b.py:2: return 'a.b'"
    assert await bench.ok("search_files", pattern="a.b", ignore_case=True, files="*.txt") == "a.txt:1: A.B"
    assert await bench.ok("search_files", pattern="^a.b$", regex=True, path="a.txt") == "a.txt:2: axb"
    assert await bench.ok("search_files", pattern="nowhere") == "[No line was found.]"
    assert "no regular expression" in await bench.refused("search_files", pattern="(", regex=True)


async def test_many_matches_are_bounded(bench: Bench):
    (bench.root / "a.txt").write_text("match me\n" * 10_000)
    text = await bench.ok("search_files", pattern="match")
    assert len(text.splitlines()) == 201
    assert "Only the first 200 lines" in text


async def test_a_pattern_that_explodes_is_stopped_and_the_daemon_goes_on_meanwhile(bench: Bench, monkeypatch):
    monkeypatch.setattr("meerkatd.agent.tools.builtin.searching.MAX_SECONDS", 0.5)
    (bench.root / "a.txt").write_text("a" * 200 + "b\n")
    began = time.monotonic()
    assert "took longer" in await bench.refused("search_files", pattern="(a|a)*$", regex=True)
    assert time.monotonic() - began < 10


def test_the_tests_workspace_is_no_link(bench: Bench):
    assert bench.root == Path(os.path.realpath(bench.root))


@pytest.mark.parametrize("path", ["a\0b", "/etc/passwd", "../x", "sub/../../x", "~/x"])
async def test_a_path_that_leads_nowhere_good_is_refused(bench: Bench, path):
    (bench.root / "sub").mkdir()
    assert "root:" not in await bench.refused("read_file", path=path)


async def test_a_find_has_the_number_by_which_its_line_is_read(bench: Bench):
    (bench.root / "a.c").write_bytes("one\ftwo\u2028three\r\nneedle\r\n".encode())
    assert await bench.ok("search_files", pattern="^needle$", regex=True) == "a.c:2: needle"
    assert (await bench.ok("read_file", path="a.c", start_line=2)).startswith("needle")
    assert await bench.ok("search_files", pattern="^$", regex=True) == "[No line was found.]"


async def test_a_name_looks_like_nothing_else_wherever_it_is_told(bench: Bench):
    (bench.root / "a\nb.py:1: x").write_text("needle\n")
    assert await bench.ok("search_files", pattern="needle") == "a\\nb.py:1: x:1: needle"
    os.mkdir(os.fsencode(bench.root) + b"/d\xff")
    os.symlink(b"d\xff", os.fsencode(bench.root) + b"/link")
    # By a link, a name that is no UTF-8 can be asked for; a text with half a character could not be stored.
    assert await bench.ok("list_files", path="link") == "[Nothing in d\\xff.]"


async def test_a_path_takes_few_of_the_daemons_descriptors(bench: Bench):
    assert "deeper than" in await bench.refused("write_file", path="/".join(["d"] * 3000), content="x")
    assert len([*bench.root.rglob("*")]) <= 100
