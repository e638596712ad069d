"""The text of config.toml: what is written is what was meant, and its author's comments stay."""

import time
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkatd.contract.config import MAX_CONFIG_BYTES
from meerkatd.realms.config.check import ConfigFault
from meerkatd.realms.config.secrets import NoSecretToKeep
from meerkatd.realms.config.text import NotToml, line_of, parse, rewrite, shown, with_secrets

WRITTEN_BY_HAND = """\
# what this realm is for
[agent] # everything below
model = 'gpt-5'  # the cheap one

# where the big model lives
[servers.home]
base_url = "http://127.0.0.1:11434/v1" # at home
api_key = "sk-SECRET"

[retry]
max_retries = 2
"""

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
leaves = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
trees = st.dictionaries(
    texts,
    st.recursive(
        leaves,
        lambda each: st.one_of(st.lists(each, max_size=3), st.dictionaries(texts, each, max_size=3)),
        max_leaves=8,
    ),
    max_size=4,
)


@given(trees, trees)
def test_a_rewritten_text_says_exactly_what_was_wanted(first: dict[str, Any], second: dict[str, Any]):
    text = rewrite("", first)
    assert repr(sorted_tree(parse(text))) == repr(sorted_tree(first))
    changed = rewrite(text, second)
    assert repr(sorted_tree(parse(changed))) == repr(sorted_tree(second))


def sorted_tree(node: Any) -> Any:
    """Spelled with types and signs, which `==` ignores, and without the order of keys."""
    if isinstance(node, dict):
        return sorted((key, sorted_tree(value)) for key, value in node.items())
    return [sorted_tree(each) for each in node] if isinstance(node, list) else node


def test_comments_and_order_survive_a_change():
    wanted = parse(WRITTEN_BY_HAND)
    wanted["agent"]["model"] = "gpt-6"
    del wanted["retry"]
    changed = rewrite(WRITTEN_BY_HAND, wanted)
    assert changed.startswith(
        '# what this realm is for\n[agent] # everything below\nmodel = "gpt-6"  # the cheap one\n'
    )
    assert '# where the big model lives\n[servers.home]\nbase_url = "http://127.0.0.1:11434/v1" # at home\n' in changed
    assert "retry" not in changed


def test_a_new_key_does_not_come_between_a_comment_and_its_table():
    """Measured: the library puts it after the comments at a table's end, which are about the next table."""
    wanted = parse(WRITTEN_BY_HAND)
    wanted["agent"]["temperature"] = 0.5
    changed = rewrite(WRITTEN_BY_HAND, wanted)
    assert "# the cheap one\ntemperature = 0.5\n\n# where the big model lives\n[servers.home]" in changed


def test_a_shown_text_has_stand_ins_for_secrets_and_comes_back_with_them():
    text = shown(WRITTEN_BY_HAND)
    assert "sk-SECRET" not in text
    assert "# where the big model lives" in text
    assert parse(text)["servers"]["home"]["api_key"] == {"secret": True, "set": True}
    assert parse(with_secrets(text, parse(WRITTEN_BY_HAND))) == parse(WRITTEN_BY_HAND)


def test_a_stand_in_without_a_secret_is_refused():
    with pytest.raises(NoSecretToKeep) as caught:
        with_secrets(shown(WRITTEN_BY_HAND), {})
    assert caught.value.path == ("servers", "home", "api_key")


@pytest.mark.parametrize(
    "text",
    [
        "a." * 20_000 + "a = 1",
        "[" + '"a" . ' * 20_000 + "a]",
        "x = " + "[" * 60_000,
        "x = {a." + "b." * 20_000 + "c = 1}",
        "n = " + "1" * 5_000,
        "x" * (MAX_CONFIG_BYTES + 1),
    ],
    ids=["dotted", "quoted", "brackets", "inline", "digits", "long"],
)
def test_a_hostile_text_is_refused_at_once(text: str):
    """Measured: the standard library takes 80 s for a key of 60,000 parts, and ends by RecursionError for brackets."""
    begun = time.process_time()
    with pytest.raises(NotToml):
        parse(text)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("data", ["prompt = '" + "a.b " * 200 + "'", "p = '''\n" + "Two words. e.g. " * 2000 + "'''"])
def test_ordinary_prose_is_not_taken_for_a_hostile_key(data: str):
    assert parse(data) == tomllib.loads(data)


def test_a_syntax_error_names_line_and_column():
    with pytest.raises(NotToml) as caught:
        parse(b"[agent]\nmodel = x\n")
    assert (caught.value.line, caught.value.column) == (2, 9)
    with pytest.raises(NotToml) as caught:
        parse(b"[agent]\nmodel = [1,")
    assert caught.value.line == 2


def test_bytes_that_are_no_text_name_their_line():
    with pytest.raises(NotToml) as caught:
        parse(b"# fine\nx = '\xff'\n")
    assert caught.value.line == 2


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("agent", "model"), 3),
        (("servers", "home", "base_url"), 7),
        (("retry", "max_retries"), 11),
        (("retry", "gone"), 10),
        (("servers", "home", "api_key"), 8),
        (("nowhere",), None),
    ],
)
def test_the_line_of_a_key_is_found(path: tuple[str, ...], line: int | None):
    assert line_of(WRITTEN_BY_HAND, path) == line


def test_a_document_that_is_too_long_as_a_text_is_refused():
    with pytest.raises(ConfigFault):
        rewrite("", {"agent": {"system_prompt": "x" * MAX_CONFIG_BYTES}})
