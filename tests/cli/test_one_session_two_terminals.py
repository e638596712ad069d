"""One session, several terminals: what one of them does, the others see, and nobody trips over anybody."""

import json
import os
import signal

from tests.cli.conftest import Shell
from tests.support.gated_model import Gate, GatedModel

SLOW = ("-m", "gpt-5.4")


def test_a_turn_is_seen_followed_refused_interrupted_and_kept(shell: Shell, model: GatedModel):
    """The whole story of one turn and four terminals: run, list, attach, resume, interrupt, history."""
    gate, never = Gate(), Gate()
    model.answers("The first part. ", gate, "The second part. ", never)
    first = shell.terminal("run", *SLOW, "Tell me a long story")
    first.wait_for("The first part.")

    [row] = shell.json("sessions", "list")["sessions"]
    assert row["is_active"]
    assert row["title"] == "Tell me a long story"

    attached = shell.terminal("sessions", "attach", "last")
    attached.wait_for("The first part.")

    refused = shell.run("--json", "resume", "last", "me too")
    assert refused.returncode == 11
    error = json.loads(refused.stdout)["error"]
    assert error["code"] == "SESSION_BUSY"
    assert (error["details"]["client"], error["details"]["pid"]) == ("rkat", first.pid)

    gate.open()
    attached.wait_for("The second part.")
    first.wait_for("The second part.")

    assert shell.run("sessions", "interrupt", "last").returncode == 0
    assert first.wait() == 14
    assert "interrupted: " in first.shown
    assert "rkat resume" in first.shown
    assert attached.wait() == 14

    messages = shell.json("sessions", "history", "last")["messages"]
    answer = messages[1]
    assert answer["stop_reason"] == "cancelled"
    assert answer["blocks"][0]["data"]["text"] == "The first part. The second part. "
    assert messages[2]["role"] == "system_notice"


def test_ctrl_c_interrupts_and_keeps_what_was_produced(shell: Shell, model: GatedModel):
    model.answers("Half an ", Gate())
    terminal = shell.terminal("run", *SLOW, "Say something")
    terminal.wait_for("Half an")
    terminal.press("\x03")
    assert terminal.wait() == 14
    assert "go on with: rkat resume" in terminal.shown.lower()

    shown = shell.json("sessions", "show", "last")
    assert shown["last_turn"]["state"] == "interrupted"
    assert shown["last_assistant_text"] == "Half an "
    assert not shown["is_active"]


def test_ctrl_c_before_the_first_word_interrupts_too(shell: Shell, model: GatedModel):
    gate = Gate()
    model.answers(gate, "late")
    terminal = shell.terminal("run", *SLOW, "Say something")
    gate.wait_until_reached()
    terminal.wait_for("waiting for the model")
    terminal.press("\x03")
    assert terminal.wait() == 14
    assert shell.json("sessions", "show", "last")["last_turn"]["state"] == "interrupted"


def test_ctrl_c_while_attached_leaves_the_turn_alone(shell: Shell, model: GatedModel):
    gate = Gate()
    model.answers("one ", gate, "two")
    first = shell.terminal("run", *SLOW, "Count")
    first.wait_for("one")
    attached = shell.terminal("sessions", "attach", "last")
    attached.wait_for("one")
    attached.press("\x03")
    assert attached.wait() == 130
    assert "the turn goes on" in attached.shown

    gate.open()
    assert first.wait() == 0
    assert "one two" in first.shown


def test_attach_ends_well_when_the_turn_does(shell: Shell, model: GatedModel):
    gate = Gate()
    model.answers("one ", gate, "two")
    first = shell.terminal("run", *SLOW, "Count")
    first.wait_for("one")
    attached = shell.terminal("sessions", "attach", "last")
    attached.wait_for("one")
    gate.open()
    assert attached.wait() == 0
    assert "one two" in attached.shown
    assert first.wait() == 0


def test_nothing_to_attach_to_is_session_not_running(shell: Shell):
    assert shell.run("run", *SLOW, "hi").returncode == 0
    done = shell.run("sessions", "attach", "last")
    assert done.returncode == 12
    assert "(SESSION_NOT_RUNNING)" in done.stderr
    assert done.stdout == ""


def test_a_killed_daemon_loses_the_turn_and_nothing_else(shell: Shell, model: GatedModel):
    """The next command starts another daemon by itself, tells the turn as lost, and the session goes on."""
    model.answers("Half an ", Gate())
    terminal = shell.terminal("run", *SLOW, "Say something")
    terminal.wait_for("Half an")
    killed = shell.daemon_pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert terminal.wait() == 70
    assert "(DAEMON_UNAVAILABLE)" in terminal.shown
    assert "The session is kept" in terminal.shown

    shown = shell.json("sessions", "show", "last")
    assert shell.daemon_pid != killed
    assert shown["last_turn"]["state"] == "lost"
    assert shown["last_turn"]["error"]["code"] == "TURN_LOST"

    model.answers("whole answer")
    done = shell.run("continue", "And now?")
    assert (done.returncode, done.stdout) == (0, "whole answer\n")


def test_workspaces_are_apart_and_a_named_realm_is_shared(shell: Shell):
    assert shell.run("run", *SLOW, "in the first").returncode == 0
    assert shell.run("--realm", "team", "run", *SLOW, "for all").returncode == 0
    other = shell.root / "other"
    (other / ".rkat").mkdir(parents=True)
    (other / "deep").mkdir()
    shell.cwd = other / "deep"
    assert shell.json("sessions", "list")["sessions"] == []
    assert shell.run("run", *SLOW, "in the second").returncode == 0

    shell.cwd = other
    titles = [row["title"] for row in shell.json("sessions", "list")["sessions"]]
    assert titles == ["in the second"], "a folder below the one with .rkat is the same workspace"
    titles = [row["title"] for row in shell.json("sessions", "list", "-r", "team")["sessions"]]
    assert titles == ["for all"]


def test_a_reference_with_a_realm_is_found_from_anywhere(shell: Shell):
    made = shell.json("run", "--isolated", *SLOW, "hi")
    done = shell.json("resume", made["session_ref"], "more")
    assert done["session_id"] == made["session_id"]


def test_an_impatient_second_ctrl_c_leaves_at_once_and_the_turn_still_ends(shell: Shell, model: GatedModel):
    model.answers("Half an ", Gate())
    terminal = shell.terminal("run", *SLOW, "Say something")
    terminal.wait_for("Half an")
    # The daemon stands still, so the interrupt cannot be answered before the second Ctrl-C.
    pid = shell.daemon_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        terminal.press("\x03")
        terminal.wait_for("once more to leave at once")
        terminal.press("\x03")
        assert terminal.wait() == 130
    finally:
        os.kill(pid, signal.SIGCONT)
    assert "left" in terminal.shown
    attached = shell.run("sessions", "attach", "last")
    assert attached.returncode in (12, 14), "ended already, or ending now"
    assert shell.json("sessions", "show", "last")["last_turn"]["state"] == "interrupted"
