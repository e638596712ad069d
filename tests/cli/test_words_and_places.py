"""Text on a terminal, tables, times, references, workspaces: the parts without a daemon."""

import errno
import io
import os
import stat
from pathlib import Path

import pytest

from meerkat_client.errors import RkatError
from meerkat_client.wire.limits import MAX_REQUEST_FRAME
from rkat import program, references, table, terminal, times, transcript
from rkat.prompts import read_prompt
from rkat.reference import markdown
from rkat.workspace import find_workspace

ROOT = Path(__file__).parents[2]


def test_nothing_that_moves_the_cursor_or_turns_text_around_gets_through():
    hostile = "\x1b]0;title\x07 \x1b[2J \r over \x9b31m \u202egnp.exe \u2066 \x7f"
    shown = terminal.visible(hostile)
    assert shown.isprintable()
    assert "\\x1b" in shown
    assert terminal.visible("two\nlines\tand a tab, ünïcödé 漢字") == "two\nlines\tand a tab, ünïcödé 漢字"


def test_one_line_stays_one_line():
    assert terminal.visible_line("a\nb\tc\x1b") == "a b c\\x1b"


def test_wide_characters_take_two_cells_and_combining_ones_none():
    assert terminal.cells("漢字") == 4
    assert terminal.cells("e\u0301") == 1
    assert terminal.cut("漢字漢字", 5) == "漢字…"
    assert terminal.cut("short", 5) == "short"


def test_a_table_in_a_pipe_is_whole_and_escaped(capsys: pytest.CaptureFixture[str]):
    table.show(("ID", "COUNT", "TITLE"), [("a", "5", "x" * 300), ("bbb", "12", "\x1b[31mred\n")], right=(1,))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ID   COUNT  TITLE"
    assert lines[1] == f"a        5  {'x' * 300}"
    assert lines[2] == "bbb     12  \\x1b[31mred"


def test_how_long_ago_is_told_in_the_largest_unit():
    assert [times.ago(100_000 - passed, now=100_000) for passed in (0, 59, 60, 7200, 90_000)] == [
        "0 s ago", "59 s ago", "1 min ago", "2 h ago", "1 d ago",
    ]  # fmt: skip
    assert times.ago(200_000, now=100_000) == "0 s ago", "a clock that was set back is no reason for a minus"
    assert [times.duration(each) for each in (0.4, 61, 90_061)] == ["0 s", "1 min 1 s", "1 d 1 h"]


def test_short_references_are_unique_among_what_is_shown():
    """Ids of version 7 begin with the time: 8 characters are the same for a minute, 13 for a millisecond."""
    apart = ["019ab3c4-12fd-7000-8000-000000000001", "019ab3c4-12fe-7000-8000-000000000001"]
    assert references.short_all(apart) == {each: each[:13] for each in apart}
    together = ["019ab3c4-12fd-7000-8000-000000000001", "019ab3c4-12fd-7111-8000-000000000001"]
    short = references.short_all(together)
    assert len(set(short.values())) == 2
    assert all(each.startswith(name) for each, name in short.items())


def test_a_realm_is_read_from_a_reference():
    assert references.realm_of("team:019ab3c4") == "team"
    assert references.realm_of("last") is None


def test_the_nearest_folder_with_a_marker_is_the_workspace_but_never_home(tmp_path: Path):
    home, project = tmp_path / "home", tmp_path / "home" / "project"
    deep = project / "src" / "deep"
    deep.mkdir(parents=True)
    (home / ".rkat").mkdir()
    assert find_workspace(str(deep), home=str(home)) == str(deep)
    (project / ".rkat").mkdir()
    assert find_workspace(str(deep), home=str(home)) == str(project)
    assert find_workspace(str(home), home=str(home)) == str(home), "a home without a project is a folder like others"


def test_a_current_directory_that_is_gone_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(RkatError) as caught:
        find_workspace()
    assert caught.value.code == "INVALID_PARAMS"


class _Piped:
    """A pipe with something in it, as stdin."""

    def __init__(self, data: bytes) -> None:
        reading, writing = os.pipe()
        os.write(writing, data)
        os.close(writing)
        self._file = os.fdopen(reading, "rb")

    def fileno(self) -> int:
        return self._file.fileno()

    def isatty(self) -> bool:
        return False

    def read(self, size: int) -> bytes:
        return self._file.read(size)


def test_a_prompt_comes_from_the_argument_the_pipe_or_both():
    assert read_prompt("hi", source=_Piped(b"")) == "hi"
    assert read_prompt("-", source=_Piped(b"from the pipe\n")) == "from the pipe"
    assert read_prompt(None, source=_Piped(b"from the pipe\n")) == "from the pipe"
    assert read_prompt("Review", source=_Piped(b"a diff\n")) == "<stdin>\na diff\n</stdin>\n\nReview"
    assert read_prompt("Review", stdin="off", source=_Piped(b"a diff\n")) == "Review"


def test_a_stdin_that_is_no_pipe_is_left_alone_when_there_is_a_prompt():
    """/dev/null of cron, a socket of an editor: the second may never end."""
    with open(os.devnull, "rb") as null:
        assert read_prompt("hi", source=null) == "hi"


@pytest.mark.parametrize(
    ("data", "code"), [(b"x" * (MAX_REQUEST_FRAME + 1), "REQUEST_TOO_LARGE"), (b"\xff\xfe", "INVALID_PARAMS")]
)
def test_what_cannot_be_a_prompt_is_refused_before_it_is_sent(data: bytes, code: str):
    with pytest.raises(RkatError) as caught:
        read_prompt(None, source=io.BufferedReader(io.BytesIO(data)))
    assert caught.value.code == code


def test_a_transcript_shows_who_said_what(capsys: pytest.CaptureFixture[str]):
    call = {"block_type": "tool_use", "data": {"id": "1", "name": "look", "args": {"at": "x" * 500}}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "hi"}], "created_at": "2026-01-01T00:00:00Z"},
        {
            "role": "block_assistant",
            "blocks": [
                {"block_type": "reasoning", "data": {"text": "a secret thought"}},
                {"block_type": "text", "data": {"text": "Half an"}},
                call,
            ],
            "stop_reason": "cancelled",
            "created_at": "2026-01-01T00:00:01Z",
        },
        {
            "role": "tool_results",
            "results": [{"tool_use_id": "1", "content": "not there", "is_error": True}],
            "created_at": "2026-01-01T00:00:02Z",
        },
        {"role": "system_notice", "kind": "generic", "body": "The turn was interrupted.", "created_at": "?"},
    ]
    transcript.show(messages, first=4, verbose=False)
    brief = capsys.readouterr().out
    assert "#4 user" in brief
    assert "[cut off by an interrupt]" in brief
    assert "✗ not there" in brief
    assert "a secret thought" not in brief
    assert "x" * 300 not in brief
    transcript.show(messages, first=4, verbose=True)
    full = capsys.readouterr().out
    assert "a secret thought" in full
    assert "x" * 500 in full


def test_the_reference_page_is_what_the_commands_say():
    """Made by `python -m rkat.reference > docs/reference/cli.md`."""
    assert (ROOT / "docs" / "reference" / "cli.md").read_text() == markdown()


def test_a_prompt_of_other_bytes_than_utf8_is_refused_before_anything_is_started():
    """The bytes of an argument that are no UTF-8 arrive as lone surrogates."""
    with pytest.raises(RkatError) as caught:
        read_prompt("bad \udcff", stdin="off")
    assert caught.value.code == "INVALID_PARAMS"
    assert caught.value.details["field"] == "prompt"


class FullDisk(io.RawIOBase):
    """A file on a disk that is full; whatever else is put in its place takes all."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def write(self, data: bytes) -> int:
        if not stat.S_ISREG(os.fstat(self.fileno()).st_mode):
            return len(data)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("arguments", [["--version"], ["--json", "nonsense", "list"]])
def test_a_full_disk_behind_stdout_is_told_on_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
):
    with io.FileIO(tmp_path / "out", "w") as file:
        stdout = io.TextIOWrapper(io.BufferedWriter(FullDisk(file)), encoding="utf-8")
        monkeypatch.setattr("sys.stdout", stdout)
        assert program.run(arguments) == 60
        monkeypatch.undo()
        stdout.close()
    assert "(STORAGE_FULL)" in capsys.readouterr().err
