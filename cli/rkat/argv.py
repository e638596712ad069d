"""What the arguments mean before typer sees them: a bare prompt becomes `run`, and a mistyped command is caught.

No I/O here. A bare prompt is sent to a model that may cost money, so what looks like a slip is refused: a single word
close to a command's name, and several words without quotes.
"""

from collections.abc import Collection, Sequence

from meerkat_client.errors import RkatError

# Options of `run` and global ones that take a value, so that the value is not mistaken for a command or a prompt.
# A test compares them with the commands themselves.
WITH_VALUE = frozenset(
    (
        "-r", "--realm", "--instance", "--realm-backend", "--state-root", "--workspace", "--context-root",
        "-m", "--model", "-t", "--tools", "-p", "--provider", "--system", "--max-tokens", "-d", "--max-duration",
        "--max-tool-calls", "--max-total-tokens", "--max-cost", "--session-budget", "--temperature", "--label",
        "--session-label", "--system-file", "--instructions", "--schema", "--schema-retries", "--image",
        "--idempotency-key", "--stdin",
    )
)  # fmt: skip
# They belong to `rkat` itself; with one of them there is nothing to send.
OF_THE_ROOT = frozenset(("--help", "-h", "--version", "--install-completion", "--show-completion"))

# Of two names as similar as `session` and `sessions` (0.93) or `modles` and `models` (0.83) one was meant.
_SIMILAR = 0.8


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether `--json` is among the options, for errors that come up before the options are read."""
    for word in arguments:
        if word == "--":
            return False
        if word == "--json":
            return True
    return False


def prepare(arguments: Sequence[str], commands: Collection[str], *, piped: bool) -> list[str]:
    """The arguments with the command in its place.

    Args:
        commands: names of all commands.
        piped: stdin is no terminal, so that no arguments at all mean "the prompt is there".

    Raises:
        RkatError: INVALID_PARAMS for what looks like a slip.
    """
    words = list(arguments)
    place = _first_word(words)
    leading = words[:place]
    if any(word in OF_THE_ROOT for word in leading):
        return words
    rest = words[place:]
    if not rest:
        return ["run", *words] if words or piped else ["--help"]
    if rest[0] == "help" and len(rest) <= 3:
        return [*rest[1:], "--help"]
    if rest[0] in commands:
        # Every command takes the global options itself, and `rkat -m NAME resume ...` is as clear as the other way.
        return [rest[0], *leading, *rest[1:]]
    if rest[0] != "--":
        _refuse_slips(rest, commands)
    return ["run", *words]


def _first_word(words: Sequence[str]) -> int:
    """Index of the first word that is neither an option nor an option's value."""
    place = 0
    while place < len(words):
        word = words[place]
        if word == "--" or word == "-" or not word.startswith("-"):
            return place
        place += 2 if word in WITH_VALUE else 1
    return len(words)


def _refuse_slips(rest: Sequence[str], commands: Collection[str]) -> None:
    word = rest[0]
    if word == "-" or any(character.isspace() for character in word):
        return
    near = _nearest(word, commands)
    if near is not None:
        raise RkatError(
            "INVALID_PARAMS",
            f"There is no command {word!r}; did you mean {near!r}?",
            hint=f"`rkat run {word}` sends the word as a prompt.",
            details={"word": word, "nearest": near},
        )
    if len(rest) > 1 and not rest[1].startswith("-"):
        raise RkatError(
            "INVALID_PARAMS",
            f"{word!r} is no command, and a prompt is one argument.",
            hint='Put the prompt in quotes: rkat "...". `rkat --help` lists the commands.',
            details={"word": word},
        )


def _nearest(word: str, commands: Collection[str]) -> str | None:
    import difflib

    found = difflib.get_close_matches(word.lower(), commands, n=1, cutoff=_SIMILAR)
    return found[0] if found else None
