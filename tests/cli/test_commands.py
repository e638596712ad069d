"""Every command once, as a script and as a person would use it."""

import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import trio
from tests.cli.conftest import COMMAND, Shell
from tests.support.gated_model import Gate, GatedModel

from meerkat_client import model_files
from meerkat_client.errors import RkatError
from meerkat_client.wire.limits import MAX_REQUEST_FRAME
from meerkat_client.wire.paths import places
from meerkatd.store.blobs import FileBlobs
from rkat import local_setup
from rkat.connection import connect
from rkat.options import Options
from rkat.stopping import stop_by_signal

MODEL = ("-m", "gpt-5.4")
ROOT = Path(__file__).parents[2]


def test_a_pipe_gets_the_answer_and_nothing_else(shell: Shell, model: GatedModel):
    model.answers("first ", "second")
    done = shell.run(*MODEL, "--system", "Be brief.", "--label", "a=b", "What is it?")
    assert (done.returncode, done.stdout) == (0, "first second\n")
    assert "7 + 2 tokens" in done.stderr
    assert model.keys == ["Bearer sk-of-the-test"]
    assert model.requests[0]["messages"][0]["content"] == "Be brief."
    assert [row["labels"] for row in shell.json("sessions", "list", "--label", "a=b")["sessions"]] == [{"a": "b"}]
    assert shell.json("sessions", "list", "--label", "a=c")["sessions"] == []


def test_what_comes_in_by_the_pipe_goes_before_the_prompt(shell: Shell, model: GatedModel):
    assert shell.run(*MODEL, "Review this", stdin=b"a diff\n").returncode == 0
    assert model.requests[0]["messages"][-1]["content"] == "<stdin>\na diff\n</stdin>\n\nReview this"


def test_json_is_one_document_also_for_errors(shell: Shell, model: GatedModel):
    model.answers("hello")
    done = shell.run("run", *MODEL, "hi", "--json")
    result = json.loads(done.stdout)
    assert (done.returncode, done.stderr, result["text"]) == (0, "", "hello")
    model.answers(400)
    failed = shell.run("--json", "resume", result["session_id"], "more")
    error = json.loads(failed.stdout)["error"]
    assert (failed.returncode, failed.stderr, error["code"]) == (20, "", "PROVIDER_ERROR")
    assert error["details"]["session_id"] == result["session_id"]
    usage = shell.run("sessions", "list", "--limit", "many", "--json")
    assert (usage.returncode, json.loads(usage.stdout)["error"]["code"]) == (2, "INVALID_PARAMS")


def test_an_error_is_two_lines_on_stderr_and_a_status(shell: Shell):
    done = shell.run("sessions", "show", "0123456789")
    assert (done.returncode, done.stdout) == (10, "")
    what, next_step = done.stderr.splitlines()
    assert what.startswith("error: ")
    assert what.endswith("(SESSION_NOT_FOUND)")
    assert next_step.startswith("  → ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("sesions", "list"),
        ("run",),
        ("sessions", "nonsense"),
        ("run", "--nonsense", "hi"),
        ("-r", "a", "--isolated", "hi"),
    ],
)
def test_a_slip_costs_nothing_and_is_told(shell: Shell, model: GatedModel, arguments: tuple[str, ...]):
    done = shell.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "(INVALID_PARAMS)" in done.stderr
    assert "Traceback" not in done.stderr
    assert model.requests == []
    assert shell.daemon_pid is None


def test_a_prompt_beyond_the_limit_is_refused_clearly(shell: Shell):
    done = shell.run(*MODEL, "-", stdin=b"x" * (MAX_REQUEST_FRAME + 1))
    assert done.returncode == 64
    assert "(REQUEST_TOO_LARGE)" in done.stderr


def test_a_reader_that_leaves_ends_the_command_quietly(shell: Shell):
    """`rkat ... | head -1`: no message, no traceback, and the status that a shell gives to SIGPIPE."""
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        done = subprocess.run(
            [*COMMAND, "--help"], stdout=theirs, stderr=subprocess.PIPE, cwd=shell.cwd, env=shell.env, check=False
        )
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_a_model_cannot_repaint_the_terminal(shell: Shell, model: GatedModel):
    model.answers("\x1b[2J\x1b]0;title\x07", "fine")
    terminal = shell.terminal(*MODEL, "hi")
    assert terminal.wait() == 0
    assert "\\x1b[2J\\x1b]0;title\\x07fine" in terminal.shown
    assert "\x1b[2J" not in terminal.shown

    model.answers("\x1b[2J")
    assert shell.run(*MODEL, "hi").stdout == "\x1b[2J\n", "a pipe gets what the model said"


def test_a_table_fits_the_terminal(shell: Shell):
    assert shell.run(*MODEL, "A title that is longer than this terminal is wide, by far").returncode == 0
    terminal = shell.terminal("sessions", "list", columns=60)
    assert terminal.wait() == 0
    rows = [line for line in terminal.shown.splitlines() if line]
    assert len(rows) == 2
    assert rows[1].endswith("…")
    assert len(rows[1]) <= 60


def test_a_listed_id_is_a_reference(shell: Shell):
    for _ in range(3):
        assert shell.run(*MODEL, "hi").returncode == 0
    lines = shell.run("sessions", "list", "--limit", "2")
    first = lines.stdout.splitlines()[1].split()[0]
    assert "--offset 2" in lines.stderr
    newest = shell.json("sessions", "list")["sessions"][0]["session_id"]
    assert newest.startswith(first)
    assert shell.json("sessions", "show", first)["session_id"] == newest


def test_a_deferred_session_runs_when_it_is_resumed(shell: Shell, model: GatedModel):
    done = shell.run("run", *MODEL, "--deferred", "First this")
    name = done.stdout.strip()
    assert model.requests == []
    assert shell.run("resume", name, "and then that").returncode == 0
    assert model.requests[0]["messages"][-1]["content"] == "First this\n\nand then that"


def test_sessions_are_labelled_archived_and_brought_back(shell: Shell):
    assert shell.run(*MODEL, "hi").returncode == 0
    name = shell.run("sessions", "list").stdout.splitlines()[1].split()[0]
    assert shell.json("sessions", "label", name, "a=b", "c=d")["labels"] == {"a": "b", "c": "d"}
    assert shell.json("sessions", "label", name, "--remove", "a")["labels"] == {"c": "d"}
    assert shell.run("sessions", "archive", name).returncode == 0
    assert shell.json("sessions", "list")["sessions"] == []
    assert "archived" in shell.run("sessions", "list", "--all").stdout
    assert shell.run("resume", name, "more").returncode == 16
    assert shell.run("sessions", "unarchive", name).returncode == 0
    assert shell.run("resume", name, "more").returncode == 0
    history = shell.run("sessions", "history", name, "--limit", "3")
    assert history.stdout.count("#") == 3
    assert "1 more: rkat sessions history" in history.stderr
    shown = shell.run("sessions", "show", name).stdout
    assert "c=d" in shown
    assert "completed" in shown


def test_a_session_is_forked_whole_or_at_a_message(shell: Shell):
    assert shell.run(*MODEL, "hi").returncode == 0
    done = shell.run("sessions", "fork", "last")
    whole = done.stdout.strip()
    assert "first 2 messages" in done.stderr
    assert shell.run("resume", whole, "and").returncode == 0
    forked = shell.json("sessions", "fork", whole, "--at", "3")
    assert (forked["source_session_id"], forked["message_count"]) == (whole, 3)
    counts = [row["message_count"] for row in shell.json("sessions", "list")["sessions"]]
    assert sorted(counts) == [2, 3, 4]
    assert shell.run("sessions", "fork", whole, "--at", "5").returncode == 2


def test_an_interrupt_of_an_idle_session_is_refused(shell: Shell):
    assert shell.run(*MODEL, "hi").returncode == 0
    assert shell.run("sessions", "interrupt", "last").returncode == 12


def test_a_blob_is_written_to_a_pipe_a_file_or_as_a_document(shell: Shell, tmp_path: Path):
    folder = Path(shell.json("realms", "create", "team", "--backend", "jsonl")["path"])
    blob_id = trio.run(FileBlobs(str(folder)).put, b"\x89PNG\n", "image/png")
    assert shell.run("--realm", "team", "blob", "get", blob_id, "--output", str(tmp_path / "a.png")).returncode == 0
    assert (tmp_path / "a.png").read_bytes() == b"\x89PNG\n"
    assert shell.json("--realm", "team", "blob", "get", blob_id)["media_type"] == "image/png"
    terminal = shell.terminal("--realm", "team", "blob", "get", blob_id)
    assert (terminal.wait(), "--output" in terminal.shown) == (2, True)
    assert shell.run("blob", "get", blob_id).returncode == 18, "another realm has other blobs"


def test_realms_are_made_shown_and_listed(shell: Shell):
    assert "not yet" in shell.run("realms", "current").stdout
    assert shell.run("realms", "list").stdout == "", "looking leaves nothing on the disk"
    assert shell.json("realms", "create", "team", "--backend", "sqlite")["backend"] == "sqlite"
    assert shell.run("realms", "create", "team", "--backend", "memory").returncode == 51
    assert "team" in shell.run("realms", "list").stdout
    assert shell.json("realms", "show", "team")["sessions"] == 0
    assert shell.run("realms", "show", "nobody").returncode == 50


def test_a_realm_is_backed_up_restored_exported_and_imported(shell: Shell):
    assert shell.run("--realm", "team", *MODEL, "hi").returncode == 0
    done = shell.run("realms", "backup", "copy", "--of", "team")
    assert done.returncode == 0
    assert "1 sessions, 2 messages" in done.stderr
    digest = done.stdout.split()[1]
    assert shell.run("realms", "backup", "copy", "--of", "team").returncode == 2
    assert shell.run("realms", "restore", "./copy").returncode == 56, "there is one of this id"
    assert shell.run("realms", "restore", "./copy", "--as", "second").stdout.split()[1] == digest
    assert shell.run("--realm", "team", "realms", "export", "file").stdout.split()[1] == digest
    made = shell.json("realms", "import", "file", "--as", "third", "--backend", "jsonl")
    assert (made["backend"], list(made["digests"].values())) == ("jsonl", [digest])
    assert {row["realm_id"] for row in shell.json("realms", "list")["realms"]} == {"team", "second", "third"}
    assert shell.run("--realm", "third", "resume", "last", "more").returncode == 0
    assert shell.json("realms", "convert", "third", "--to", "sqlite")["backend"] == "sqlite"
    checked = shell.run("realms", "check", "third")
    assert (checked.returncode, "realm.store" in checked.stdout) == (0, True)
    Path(shell.json("realms", "show", "second")["path"], "config.toml").write_text("= nonsense")
    broken = shell.run("realms", "check", "second")
    assert (broken.returncode, "realm.config" in broken.stdout) == (55, True)


def test_the_daemon_is_started_looked_at_restarted_and_stopped(shell: Shell):
    """`status` starts nothing, and says 3 when nothing runs; `stop` returns when the process is gone."""
    assert shell.run("daemon", "status").returncode == 3
    assert shell.json("daemon", "status")["running"] is False
    assert shell.run("daemon", "stop").stdout == "was not running\n"
    started = shell.json("daemon", "start")
    assert started["started"]
    assert not shell.json("daemon", "start")["started"]
    status = shell.json("daemon", "status")
    assert status["process"]["pid"] == started["pid"]
    text = shell.run("daemon", "status").stdout
    assert all(word in text for word in ("uptime", "memory", "open files", "turns", "socket", "state root"))
    restarted = shell.json("daemon", "restart")
    assert restarted["before"] == started["pid"] == restarted["pid"]
    assert shell.json("daemon", "status")["restarts"] == 1
    assert shell.json("daemon", "stop")["stopped"] == restarted["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(_unless_zombie(restarted["pid"]), 0)
    assert shell.run("daemon", "status").returncode == 3


def _unless_zombie(pid: int) -> int:
    """The pid, or one that cannot exist when the process is over and only not reaped by its parent."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return pid
    return 2**31 - 1 if state == "Z" else pid


def test_stop_says_what_it_waits_for_and_a_running_turn_is_kept(shell: Shell, model: GatedModel):
    model.answers("Half an ", Gate())
    terminal = shell.terminal(*MODEL, "Say something")
    terminal.wait_for("Half an")
    done = shell.run("daemon", "stop", "--deadline", "0")
    assert done.returncode == 0
    assert "waiting for a turn to end" in done.stderr
    assert terminal.wait() == 14
    assert shell.json("sessions", "show", "last")["last_turn"]["state"] == "interrupted"


def test_the_log_is_shown_for_people_raw_for_programs_and_followed(shell: Shell):
    assert shell.run("daemon", "logs").returncode == 70
    shell.run("daemon", "start")
    assert " info started " in shell.run("daemon", "logs").stdout
    raw = shell.run("daemon", "logs", "--json", "-n", "1").stdout
    assert json.loads(raw)["level"] == "info"
    following = shell.terminal("daemon", "logs", "-f", "-n", "1")
    following.wait_for("started")
    shell.run("daemon", "stop")
    following.wait_for("stopped")
    following.press("\x03")
    assert following.wait() == 130


def test_models_are_listed_with_what_is_missing(shell: Shell):
    text = shell.run("models").stdout
    assert "gpt-5.4" in text
    assert "(default)" in text
    assert "ANTHROPIC" in text or "anthropic  There is no key" in text
    assert shell.json("models", "list")["default"]["provider"] == "openai"


def test_a_model_that_is_there_is_not_fetched_again(shell: Shell):
    known = model_files.KNOWN["smollm2"]
    path = model_files.path_of("smollm2", Path(shell.env["MEERKAT_MODELS_DIR"]))
    path.parent.mkdir()
    with path.open("wb") as file:
        file.truncate(known.size)
    done = shell.run("models", "pull", "smollm2")
    assert (done.returncode, done.stdout) == (0, f"{path} (was there already)\n")
    assert shell.run("models", "pull", "nonsense").returncode == 2


def test_without_a_key_the_ways_on_are_told(shell: Shell):
    del shell.env["OPENAI_API_KEY"], shell.env["OPENAI_BASE_URL"]
    done = shell.run("hello there")
    assert done.returncode == 23
    assert all(way in done.stderr for way in ("_API_KEY", "rkat models pull smollm2", "server"))


def test_without_a_key_a_person_is_offered_the_local_model(shell: Shell):
    del shell.env["OPENAI_API_KEY"], shell.env["OPENAI_BASE_URL"]
    terminal = shell.terminal("hello there")
    terminal.wait_for("use it now? [Y/n]")
    terminal.press("n\n")
    assert terminal.wait() == 23
    assert "(PROVIDER_NOT_CONFIGURED)" in terminal.shown


def test_what_is_known_twice_of_the_local_model_is_the_same_in_both_places():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["local"] == [local_setup.RUNTIME_REQUIREMENT]
    assert frozenset(model_files.KNOWN) == local_setup.NAMES


@pytest.mark.parametrize(
    ("model", "provider", "name"),
    [
        ("local/smollm2", None, "smollm2"),
        ("smollm2", None, "smollm2"),
        ("smollm2", "local", "smollm2"),
        (None, "local", "smollm2"),
        (None, None, None),
        ("gpt-5.4", None, None),
        ("smollm2", "openai", None),
        ("server/smollm2", None, None),
    ],
)
def test_only_a_request_for_a_known_local_model_fetches_one(model: str | None, provider: str | None, name: str | None):
    assert local_setup.local_name(model, provider) == name


def test_the_version_is_told_without_a_daemon(shell: Shell):
    assert shell.run("--version").stdout.startswith("rkat ")
    assert shell.daemon_pid is None


def test_a_daemon_of_another_protocol_is_stopped_by_a_signal(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """`rkat daemon restart` is the way out of VERSION_MISMATCH, so it must not need a common protocol."""
    pid = shell.json("daemon", "start")["pid"]
    monkeypatch.setenv("MEERKAT_RUNTIME_DIR", shell.env["MEERKAT_RUNTIME_DIR"])
    options = Options(state_root=shell.env["MEERKAT_STATE_ROOT"])
    assert stop_by_signal(options) == pid
    assert shell.run("daemon", "status").returncode == 3
    assert stop_by_signal(options) is None


def test_a_daemon_that_does_not_answer_is_an_error_and_no_traceback(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEERKAT_RUNTIME_DIR", shell.env["MEERKAT_RUNTIME_DIR"])
    options = Options(state_root=shell.env["MEERKAT_STATE_ROOT"], realm="team")
    where = places(options.state_root)
    os.makedirs(where.runtime_dir, mode=0o700)
    Path(where.runtime_dir).parent.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(where.socket_path)
        silent.listen()
        with pytest.raises(RkatError) as caught:
            connect(options, deadline=0.1)
    assert caught.value.code == "DAEMON_UNAVAILABLE"


def test_a_closed_stdout_and_a_narrow_locale_are_no_reason_to_fail(shell: Shell, model: GatedModel):
    model.answers("naïve 漢字")
    shell.env |= {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [*COMMAND, *MODEL, "hi"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=shell.cwd,
        env=shell.env,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "naïve ".encode("latin-1") + b"\\u6f22\\u5b57\n")
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "sessions", "list"], cwd=shell.cwd, env=shell.env, check=False
    )
    assert closed.returncode == 0


def test_a_command_loads_nothing_that_it_does_not_need():
    """Each of these was measured to cost as much as everything else together, or belongs to the daemon."""
    program = (
        "import sys, rkat.program, rkat.commands.sessions, rkat.commands.run, rkat.connection; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {
        "pydantic",
        "trio",
        "rich",
        "anyio",
        "asyncio",
        "ssl",
        "http",
        "meerkatd",
        "zipfile",
        "tempfile",
        "logging",
    }
    assert not heavy & set(done.stdout.split())


def test_an_answer_that_fits_a_schema_is_json_on_stdout(shell: Shell, model: GatedModel):
    (shell.cwd / "age.json").write_text('{"type": "object", "required": ["age"]}')
    model.answers("four")
    model.answers('{"age": ', "4}")
    # With tools on offer a server of one's own is asked for the format in words.
    done = shell.run(*MODEL, "--tools", "none", "--schema", "age.json", "How old?")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"age": 4})
    assert model.requests[0]["response_format"]["json_schema"]["schema"]["required"] == ["age"]
    model.answers("four")
    failed = shell.run("resume", "last", "--schema", '{"type": "object"}', "--schema-retries", "0", "And now?")
    assert (failed.returncode, failed.stdout) == (32, "")
    assert "STRUCTURED_OUTPUT_INVALID" in failed.stderr
    count = len(model.requests)
    for schema in ("nowhere.json", "{", "age.txt"):
        (shell.cwd / "age.txt").write_text("[1]")
        assert shell.run(*MODEL, "--schema", schema, "x").returncode == 2
    bad = shell.json("run", *MODEL, "--schema", '{"properties": {"a": {"type": "strin"}}}', "x")
    assert bad["error"]["details"]["field"] == "output_schema.properties.a.type"
    assert len(model.requests) == count


def test_a_session_is_compacted_on_demand_and_keeps_its_history(shell: Shell, model: GatedModel):
    for number in range(3):
        model.answers(f"answer {number}")
        where = ("resume", "last") if number else ("run", *MODEL)
        assert shell.run(*where, f"prompt {number}").returncode == 0
    assert "nothing to do" in shell.run("sessions", "compact", "last").stdout
    model.answers("They talked.")
    done = shell.run("sessions", "compact", "last", "--keep", "1")
    assert "sees 3 messages instead of 6" in done.stdout
    assert "a summary of 1 tokens for the first 4 messages" in shell.run("sessions", "show", "last").stdout
    assert shell.json("sessions", "history", "last")["message_count"] == 6
    model.answers("fine")
    shell.run("resume", "last", "prompt 3")
    sent = [str(message["content"]) for message in model.requests[-1]["messages"]]
    assert "They talked." in sent[0]
    assert sent[1:] == ["answer 2", "prompt 3"]


def test_a_system_prompt_comes_from_a_file_with_more_said_beside_it(shell: Shell, model: GatedModel):
    (shell.cwd / "system.txt").write_text("You are brief.")
    (shell.cwd / "AGENTS.md").write_text("Use tabs.")
    assert shell.run(*MODEL, "--system-file", "system.txt", "--instructions", "In French.", "hi").returncode == 0
    assert model.requests[-1]["messages"][0]["content"] == "You are brief.\n\nIn French."
    assert shell.run("resume", "last", "--instructions", "Today only.", "hi").returncode == 0
    assert model.requests[-1]["messages"][0]["content"] == "You are brief.\n\nIn French.\n\nToday only."
    assert shell.run(*MODEL, "--project-instructions", "hi").returncode == 0
    assert model.requests[-1]["messages"][0]["content"].endswith("Use tabs.")
    assert "AGENTS.md" in shell.run("sessions", "show", "last").stdout
    assert shell.run(*MODEL, "--system", "x", "--system-file", "system.txt", "hi").returncode == 2
    assert shell.run(*MODEL, "--system-file", "nowhere.txt", "hi").returncode == 2


def test_an_image_goes_with_the_prompt(shell: Shell, model: GatedModel):
    (shell.cwd / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    model.answers("a dot")
    assert shell.run(*MODEL, "--image", "dot.png", "What is it?").stdout == "a dot\n"
    image, text = model.requests[-1]["messages"][-1]["content"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert text == {"type": "text", "text": "What is it?"}
    assert "[image/png sha256:" in shell.run("sessions", "history", "last").stdout
    (shell.cwd / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(800_000))
    assert shell.run(*MODEL, "--image", "large.png", "x").returncode == 64
    (shell.cwd / "text.png").write_text("no image")
    for name in ("text.png", "nowhere.png"):
        assert shell.run(*MODEL, "--image", name, "x").returncode == 2
