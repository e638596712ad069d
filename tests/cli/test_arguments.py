"""What the arguments mean, before any process or terminal comes in."""

import contextlib

import pytest

from meerkat_client.errors import RkatError
from rkat import argv
from rkat.options import Options
from rkat.pairs import parse_labels
from rkat.tree import COMMANDS, names, root_command

COMMAND_NAMES = ("run", "resume", "continue", "sessions", "realms", "models", "daemon")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["What is a daemon?"], ["run", "What is a daemon?"]),
        (["-m", "gpt-5.4", "What is it?"], ["run", "-m", "gpt-5.4", "What is it?"]),
        (["--model=gpt-5.4", "hello"], ["run", "--model=gpt-5.4", "hello"]),
        (["--json", "hello"], ["run", "--json", "hello"]),
        (["hello", "--json"], ["run", "hello", "--json"]),
        (["-"], ["run", "-"]),
        (["--", "sessions"], ["run", "--", "sessions"]),
        (["sessions", "list"], ["sessions", "list"]),
        (["-r", "team", "sessions", "list"], ["sessions", "-r", "team", "list"]),
        (["-m", "gpt-5.4", "resume", "last", "more"], ["resume", "-m", "gpt-5.4", "last", "more"]),
        (["--version"], ["--version"]),
        (["help"], ["--help"]),
        (["help", "sessions"], ["sessions", "--help"]),
        (["help me to write a letter"], ["run", "help me to write a letter"]),
        ([], ["--help"]),
    ],
)
def test_a_first_word_that_is_no_command_is_a_prompt(given: list[str], meant: list[str]):
    assert argv.prepare(given, COMMAND_NAMES, piped=False) == meant


def test_nothing_but_a_pipe_is_a_prompt_in_the_pipe():
    assert argv.prepare([], COMMAND_NAMES, piped=True) == ["run"]


@pytest.mark.parametrize("word", ["session", "Sessions", "modles", "resme", "deamon"])
def test_a_word_close_to_a_command_is_not_sent_to_a_model(word: str):
    with pytest.raises(RkatError) as caught:
        argv.prepare([word, "list"], COMMAND_NAMES, piped=False)
    assert caught.value.code == "INVALID_PARAMS"
    assert caught.value.details["nearest"] in COMMAND_NAMES


def test_several_words_without_quotes_are_not_sent_to_a_model():
    with pytest.raises(RkatError) as caught:
        argv.prepare(["what", "is", "this"], COMMAND_NAMES, piped=False)
    assert caught.value.code == "INVALID_PARAMS"
    assert "nearest" not in caught.value.details


def test_json_is_asked_for_among_the_options_only():
    assert argv.asks_for_json(["run", "hi", "--json"])
    assert not argv.asks_for_json(["run", "--", "--json"])


def test_every_option_with_a_value_is_known_to_the_first_look():
    """Otherwise the value of an option before a bare prompt would be taken for the prompt."""
    command = root_command().get_command(None, "run")
    wanted = {
        name
        for param in command.params
        if param.param_type_name == "option" and not param.is_flag
        for name in (*param.opts, *param.secondary_opts)
    }
    assert wanted == set(argv.WITH_VALUE)


def test_every_command_has_a_help_and_takes_the_global_options():
    root = root_command()
    for entry in COMMANDS:
        command = root.get_command(None, entry.name)
        assert command.get_short_help_str(200), entry.name
        below = getattr(command, "commands", {"": command})
        for name, leaf in below.items():
            opts = {opt for param in leaf.params for opt in param.opts}
            assert {"--realm", "--json", "--state-root", "--verbose"} <= opts, (entry.name, name)
    assert set(COMMAND_NAMES) <= set(names())


@pytest.mark.parametrize("more", [[], ["--json"], ["--realm", "team"]])
def test_a_group_without_a_command_is_refused_in_one_sentence_that_names_its_commands(more: list[str]):
    with pytest.raises(RkatError) as caught:
        root_command().main(["approvals", *more], prog_name="rkat", standalone_mode=False, obj={})
    assert caught.value.code == "INVALID_PARAMS"
    assert "allow" in caught.value.message
    assert "\n" not in caught.value.message


def test_the_help_of_a_group_has_whole_sentences(capsys: pytest.CaptureFixture[str]):
    for entry in COMMANDS:
        with contextlib.suppress(SystemExit):
            root_command().main([entry.name, "--help"], prog_name="rkat", standalone_mode=False, obj={})
    assert "...\n" not in capsys.readouterr().out.replace("[ARGS]...\n", "")


class _Context:
    def __init__(self, **obj: object) -> None:
        self.obj = obj


@pytest.mark.parametrize("other", [{"isolated": True}, {"workspace": "/tmp"}])
def test_two_ways_to_choose_a_realm_are_refused(other: dict[str, object]):
    with pytest.raises(RkatError) as caught:
        Options.of(_Context(realm="team", **other))
    assert caught.value.code == "INVALID_PARAMS"


def test_the_way_back_repeats_what_chose_the_realm():
    assert Options(realm="team", json=True).again() == " --realm team"
    assert Options(state_root="/a b").again() == " --state-root '/a b'"
    assert Options().again() == ""


def test_labels_are_pairs():
    assert parse_labels(["a=b", "c=d=e", "f="]) == {"a": "b", "c": "d=e", "f": ""}
    for word in ("a", "=b"):
        with pytest.raises(RkatError) as caught:
            parse_labels([word])
        assert caught.value.code == "INVALID_PARAMS"
