"""`rkat config` and the trash, as people and programs use them."""

import json
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Shell
from tests.support.gated_model import Gate, GatedModel

from meerkat_client.errors import RkatError
from rkat.config_diff import differences, lines
from rkat.config_source import read_source

PATCH = '{"agent": {"model": "gpt-5"}}'


def editor(shell: Shell, script: str) -> None:
    """Make `script`, which gets the file as $1, the person's editor."""
    path = shell.root / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    shell.env["EDITOR"] = str(path)
    # Texts that are kept for the person stay until then; these go with the test.
    shell.env["TMPDIR"] = str(shell.root)


def kept_text(shell: Shell, told: str) -> str:
    place = told.split("Your text is kept in ")[1].split("/config.toml")[0] + "/config.toml"
    return Path(place).read_text()


def test_a_config_is_written_read_patched_and_compared(shell: Shell) -> None:
    (shell.cwd / "mine.toml").write_text('# mine\n[agent]\nmodel = "gpt-4.1"\n')
    assert shell.run("config", "get").stdout == ""
    assert shell.run("config", "set", "mine.toml", "--expected-generation", "0").stdout == "generation=1\n"
    assert shell.run("config", "patch", PATCH).stdout == "generation=2\n"
    assert shell.run("config", "get", "--with-generation").stdout == (
        '# generation = 2\n# mine\n[agent]\nmodel = "gpt-5"\n'
    )
    assert json.loads(shell.run("config", "get", "--format", "json").stdout) == {"agent": {"model": "gpt-5"}}
    envelope = json.loads(shell.run("config", "get", "--format", "json", "--with-generation").stdout)
    assert (envelope["generation"], "resolved_paths" in envelope) == (2, False)
    assert shell.run("config", "diff", "mine.toml").stdout == ('- agent.model = "gpt-5"\n+ agent.model = "gpt-4.1"\n')
    assert shell.run("config", "diff").stdout == '+ agent.model = "gpt-5"\n'


def test_a_config_comes_by_a_pipe_as_an_option_or_as_json(shell: Shell) -> None:
    assert shell.run("config", "set", "-", stdin=PATCH.encode()).stdout == "generation=1\n"
    assert shell.run("config", "set", "--toml", "[agent]").stdout == "generation=2\n"
    assert shell.run("config", "patch", "--toml", "[agent]\ntemperature = 1").stdout == "generation=3\n"
    assert shell.json("config", "set", PATCH)["generation"] == 4
    assert shell.json("config", "get")["config"] == {"agent": {"model": "gpt-5"}}
    assert "agent" in shell.json("config", "schema")["properties"]
    assert shell.json("config", "get", "--effective")["config"]["retry"]["max_retries"] == 3


def test_what_is_refused_has_the_status_of_the_table(shell: Shell) -> None:
    stale = shell.run("config", "set", PATCH, "--expected-generation", "7")
    assert (stale.returncode, stale.stdout) == (15, "")
    assert "CONFIG_CONFLICT" in stale.stderr
    bad = shell.run("config", "patch", '{"agent": {"modle": 1}}')
    assert bad.returncode == 2
    assert "did you mean 'model'" in bad.stderr
    assert shell.run("config", "set").returncode == 2
    assert shell.run("config", "set", "no-such-file.toml").returncode == 2
    error = shell.json("config", "set", "{")["error"]
    assert error["code"] == "INVALID_PARAMS"
    assert "Traceback" not in stale.stderr + bad.stderr


def test_a_broken_file_is_told_with_its_place_and_status(shell: Shell) -> None:
    path = Path(shell.json("config", "set", PATCH)["resolved_paths"]["config_path"])
    path.write_text("[agent]\nmodel = 5\n")
    done = shell.run("config", "get")
    assert done.returncode == 17
    assert f"{path}, line 2: agent.model" in done.stderr
    assert shell.run("run", "hello").returncode == 17, "no turn begins on a config that says something else"
    editor(shell, 'printf \'[agent]\\nmodel = "gpt-5"\\n\' > "$1"')
    assert shell.run("config", "edit").stdout == "generation=3\n", "the file itself is opened"
    assert shell.json("config", "get")["config"] == {"agent": {"model": "gpt-5"}}


def test_an_edit_keeps_comments_and_secrets(shell: Shell) -> None:
    shell.run("config", "set", "--toml", '# mine\n[providers.api_keys]\nopenai = "sk-CANARY"\n')
    editor(shell, f'cp "$1" {shell.root}/seen; echo "[agent]" >> "$1"; echo "temperature = 1" >> "$1"')
    assert shell.run("config", "edit").stdout == "generation=2\n"
    assert "CANARY" not in (shell.root / "seen").read_text()
    text = Path(shell.json("config", "get")["resolved_paths"]["config_path"]).read_text()
    assert "# mine" in text
    assert "sk-CANARY" in text
    assert "temperature = 1" in text


def test_an_edit_that_changes_nothing_writes_nothing(shell: Shell) -> None:
    shell.run("config", "set", PATCH)
    editor(shell, "true")
    done = shell.run("config", "edit")
    assert (done.returncode, done.stdout) == (0, "generation=1\n")
    assert "Nothing was changed" in done.stderr


def test_an_edit_that_is_refused_keeps_what_was_written(shell: Shell) -> None:
    editor(shell, 'echo "modle = 1" >> "$1"')
    done = shell.run("config", "edit")
    assert done.returncode == 2
    assert "modle = 1" in kept_text(shell, done.stderr)


def test_an_edit_that_somebody_else_was_faster_than_keeps_both_texts(shell: Shell) -> None:
    shell.run("config", "set", PATCH)
    faster = f'{sys.executable} -m rkat config patch \'{{"agent": {{"temperature": 1}}}}\''
    editor(shell, f"{faster} >/dev/null\necho '# slow' >> \"$1\"")
    done = shell.run("config", "edit")
    assert done.returncode == 15
    assert "# slow" in kept_text(shell, done.stderr)
    theirs = done.stderr.split("generation 2: ")[1].splitlines()[0]
    assert "temperature = 1" in Path(theirs).read_text()


def test_on_a_terminal_a_refused_edit_can_be_mended(shell: Shell) -> None:
    """The editor makes a mistake the first time, and takes it back the second time."""
    editor(shell, 'if grep -q modle "$1"; then printf \'# good\\n\' > "$1"; else echo \'modle = 1\' >> "$1"; fi')
    terminal = shell.terminal("config", "edit")
    terminal.wait_for("Edit again? [Y/n]")
    terminal.press("\n")
    assert terminal.wait() == 0
    assert "generation=1" in terminal.shown


def test_a_missing_editor_is_told(shell: Shell) -> None:
    shell.env |= {"EDITOR": "no-such-editor", "TMPDIR": str(shell.root)}
    done = shell.run("config", "edit")
    assert done.returncode == 2
    assert "VISUAL or EDITOR" in done.stderr


def test_a_deleted_realm_is_found_in_the_trash_and_comes_back(shell: Shell) -> None:
    shell.run("realms", "create", "team")
    deleted = shell.run("realms", "delete", "team")
    assert deleted.stdout == "deleted team\n"
    assert "rkat realms restore team" in deleted.stderr
    assert shell.run("realms", "show", "team").returncode == 50
    row = shell.json("realms", "trash")["trash"][0]
    assert row["realm_id"] == "team"
    assert "team" in shell.run("realms", "trash").stdout
    assert shell.json("realms", "restore", row["trash_id"])["realm_id"] == "team"
    assert shell.run("realms", "restore", "team").returncode == 50
    shell.run("realms", "delete", "team")
    assert "1 deleted for good" in shell.run("realms", "trash", "--empty").stderr
    assert "The trash is empty" in shell.run("realms", "trash").stderr


def test_a_realm_that_others_use_is_deleted_only_by_force(shell: Shell, model: GatedModel) -> None:
    gate = Gate()
    model.answers("so far", gate)
    terminal = shell.terminal("run", "--realm", "busy", "-m", "gpt-5", "hello")
    gate.wait_until_reached()
    refused = shell.run("realms", "delete", "busy")
    assert refused.returncode == 54
    assert "1 turn" in refused.stderr
    assert shell.run("realms", "delete", "busy", "--force").returncode == 0
    assert terminal.wait() == 14


def test_pruning_tells_what_it_would_take(shell: Shell) -> None:
    shell.run("config", "set", PATCH, "--isolated")
    would = shell.run("realms", "prune", "--older-than-hours", "0", "--dry-run")
    assert would.stdout.startswith("realm-")
    assert "would be moved" in would.stderr
    assert shell.run("realms", "prune", "--older-than-hours", "0").stdout == would.stdout
    assert shell.json("realms", "prune")["pruned"] == []


# -- pure parts ---------------------------------------------------------------------------------------------------


def test_differences_are_told_key_by_key() -> None:
    secret = {"secret": True, "set": True}
    old = {"a": {"x": 1, "y": True}, "k": secret, "same": 1}
    new = {"a": {"x": 2, "z": {}}, "k": secret, "same": 1}
    assert lines(differences(old, new)) == ["- a.x = 1", "+ a.x = 2", "- a.y = true", "+ a.z = {}"]
    assert differences({"a": 1}, {"a": True}) == [{"key": "a", "old": 1, "new": True}]
    assert lines(differences({}, {"k": secret})) == ["+ k = (secret)"]


@pytest.mark.parametrize(("given", "toml"), [(None, None), ("{}", "a = 1")])
def test_one_source_is_needed_and_only_one(given: str | None, toml: str | None) -> None:
    with pytest.raises(RkatError) as caught:
        read_source(given, toml)
    assert caught.value.code == "INVALID_PARAMS"


@pytest.mark.parametrize("text", ["x = 1979-05-27", "x = nan", "x = "])
def test_toml_that_json_cannot_carry_is_refused(text: str) -> None:
    with pytest.raises(RkatError) as caught:
        read_source(None, text).tree()
    assert caught.value.code == "INVALID_PARAMS"


def test_a_file_is_read_by_its_name_or_its_first_character(tmp_path: Path) -> None:
    files = (("a.json", "{}", True), ("a.toml", "a = 1", False), ("a", " {}", True), ("b", "", False))
    for name, text, is_json in files:
        (tmp_path / name).write_text(text)
        assert read_source(str(tmp_path / name), None).is_json is is_json
