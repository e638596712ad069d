"""What the pages speak of exists, and what exists is on the pages."""

import inspect
import json
import os
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from meerkat_client.wire import limits
from meerkat_client.wire.codes import TABLE
from meerkat_client.wire.credentials import API_KEYS, BASE_URLS
from meerkatd import settings
from meerkatd.contract.config_document import json_schema
from meerkatd.contract.methods import METHODS
from rkat.argv import prepare
from rkat.tree import root_command
from rkat_shims.mcp.options import parser as mcp_parser
from rkat_shims.rest.options import parser as rest_parser
from rkat_shims.rpc.options import FLAGS as RPC_FLAGS

from .pages import GENERATED, PAGES, ROOT, WRITTEN, Page
from .transcripts import steps

PAGE = pytest.mark.parametrize("page", WRITTEN.values(), ids=lambda page: page.name)
CLI = root_command()
CONFIG = json_schema()
DAEMON_FLAGS = set(re.findall(r'"(--[a-z-]+)"', inspect.getsource(settings)))
REST_FLAGS = {flag for action in rest_parser()._actions for flag in action.option_strings}
MCP_FLAGS = {flag for action in mcp_parser()._actions for flag in action.option_strings}
# Of programs that are not ours.
OTHER_FLAGS = {"-m"}
SOURCES = "\n".join(
    path.read_text() for folder in ("daemon", "client/python", "cli") for path in (ROOT / folder).rglob("*.py")
)

SCHEMA = json.loads((ROOT / "docs/reference/schema.json").read_text())
# What the daemon sends by itself; the request `tool/execute` is no notification.
FROM_THE_DAEMON = {"tool/execute", *SCHEMA["notifications"]}


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with its path."""
    names = command.list_commands(None) if hasattr(command, "list_commands") else []
    if not names:
        yield path, command
    for name in names:
        yield from leaves(command.get_command(None, name), (*path, name))


LEAVES = dict(leaves(CLI))
ALL_FLAGS = {
    flag
    for command in (CLI, *LEAVES.values())
    for param in command.params
    for flag in (*param.opts, *param.secondary_opts)
}


def command_lines(page: Page) -> Iterator[str]:
    """What the page shows of `rkat ...`, in its console blocks and its code spans."""
    for block in page.blocks():
        if block.language == "console":
            yield from (step.typed for step in steps(block.text) if step.typed)
        elif block.language == "sh":
            yield block.text
    yield from (span for span in page.spans() if span.startswith("rkat "))


def calls(line: str) -> Iterator[list[str]]:
    """The words of each call of rkat in a command line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;()<>\n")
    lexer.whitespace_split = True
    lexer.whitespace = " "
    call: list[str] = []
    for word in (*lexer, ";"):
        if set(word) <= set("|&;()<>\n"):
            if call and call[0].rpartition("/")[2] == "rkat":
                yield call[1:]
            call = []
        else:
            call.append(word)


@PAGE
def test_every_command_on_a_page_exists_with_its_flags(page: Page) -> None:
    for line in command_lines(page):
        for words in calls(line):
            command: Any = CLI
            flags = {flag for param in CLI.params for flag in (*param.opts, *param.secondary_opts)}
            prepared = prepare([word for word in words if word != "..."], CLI.list_commands(None), piped=True)
            for word in prepared:
                if word.startswith("--") or re.fullmatch("-[a-z]", word):
                    continue
                if not hasattr(command, "list_commands"):
                    break
                if word in command.list_commands(None):
                    command = command.get_command(None, word)
            flags |= {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
            used = {word.partition("=")[0] for word in prepared if re.match("--?[a-z]", word)}
            assert used <= flags | {"--help", "-h"}, f"{page.name}: {line}"


@PAGE
def test_every_flag_on_a_page_exists(page: Page) -> None:
    mentioned = {span.split()[0] for span in page.spans() if re.match("--?[a-z]", span)}
    ours = ALL_FLAGS | DAEMON_FLAGS | REST_FLAGS | MCP_FLAGS | set(RPC_FLAGS)
    assert mentioned <= ours | OTHER_FLAGS | {"--help", "-h"}


@PAGE
def test_every_error_code_and_variable_on_a_page_exists(page: Page) -> None:
    for span in page.spans():
        for word in re.findall(r"\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b", span):
            assert word in TABLE or word in SOURCES, f"{page.name}: {word}"


@PAGE
def test_every_method_on_a_page_exists(page: Page) -> None:
    known = {method.name for method in METHODS} | FROM_THE_DAEMON
    nouns = {name.partition("/")[0] for name in known}
    for span in page.spans():
        if re.fullmatch(r"[a-z]+/[a-z_]+", span) and span.partition("/")[0] in nouns:
            if (ROOT / span).exists():
                continue
            assert span in known, f"{page.name}: {span}"


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Page) -> None:
    for link in page.links():
        if re.match("[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (ROOT / page.name).parent / path if path else ROOT / page.name
        assert target.exists(), f"{page.name}: {link}"
        if fragment:
            name = os.path.relpath(target, ROOT)
            assert fragment in PAGES[name].anchors(), f"{page.name}: {link}"


@PAGE
def test_every_page_is_linked_from_another_one(page: Page) -> None:
    if page.name in ("README.md",):
        return
    wanted = ROOT / page.name
    assert any(
        ((ROOT / other.name).parent / link.partition("#")[0]).resolve() == wanted
        for other in PAGES.values()
        if other.name != page.name
        for link in other.links()
    )


def test_every_flag_of_the_webs_door_is_on_its_page() -> None:
    text = PAGES["docs/how-to/rest.md"].text
    assert [flag for flag in sorted(REST_FLAGS) if f"`{flag}`" not in text] == []


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_is_on_a_page(path: tuple[str, ...]) -> None:
    wanted = f"rkat {' '.join(path)}"
    pages = [page for name, page in PAGES.items() if name not in GENERATED]
    assert any(re.search(rf"{re.escape(wanted)}\b", page.text) for page in pages)


def config_keys(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    definitions = CONFIG.get("$defs", {})
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if "properties" in schema:
        for name, inner in schema["properties"].items():
            yield from config_keys(inner, (*path, name))
    elif isinstance(schema.get("additionalProperties"), dict) and "$ref" in schema["additionalProperties"]:
        yield from config_keys(schema["additionalProperties"], (*path, "NAME"))
    else:
        yield ".".join(path)


def test_every_key_of_the_config_is_in_its_reference() -> None:
    text = PAGES["docs/reference/config.md"].text
    assert [key for key in config_keys(CONFIG) if f"`{key}`" not in text] == []


def test_every_limit_of_the_wire_is_in_its_reference() -> None:
    text = PAGES["docs/reference/wire.md"].text
    names = [name for name in vars(limits) if name.isupper() and name not in ("KIB", "MIB")]
    assert [name for name in names if f"| `{name}` | {spelled(getattr(limits, name))} |" not in text] == []


def spelled(value: float) -> str:
    """A limit as the reference writes it."""
    if isinstance(value, int) and value >= limits.MIB and value % limits.MIB == 0 and value < 2**60:
        return f"{value // limits.MIB} MiB"
    if isinstance(value, int) and value >= limits.KIB and value % limits.KIB == 0 and value < 2**60:
        return f"{value // limits.KIB} KiB"
    if value == 2**63:
        return "2^63"
    return f"{value:,g}" if isinstance(value, float) else f"{value:,}"


def test_every_variable_of_the_environment_is_in_its_reference() -> None:
    text = PAGES["docs/reference/files.md"].text
    names = {name for table in (API_KEYS, BASE_URLS) for names in table.values() for name in names}
    names |= set(re.findall(r'"(MEERKAT_[A-Z_]+)"', SOURCES))
    assert sorted(name for name in names if f"`{name}`" not in text) == []
