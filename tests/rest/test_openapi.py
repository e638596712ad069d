"""The OpenAPI document, and the server against it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.rest.rest_kit import Rest
from tests.rest.rest_process import RestProcess, rest_process
from tests.rpc.rpc_kit import Place
from tests.support.gated_model import GatedModel

from rkat_shims.rest import openapi, pages

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = json.loads((ROOT / "docs/reference/openapi.json").read_text())
# What is valid by its shape may name a model, a session or a folder that is not there, or say the same thing twice.
_NOT_CHECKED = "positive_data_acceptance"
# They answer when something happens, or move the realm in which the test's sessions are to the trash.
_NOT_CALLED = (
    *("session_stream_open", "config_watch"),
    *("realm_convert", "realm_delete", "realm_prune", "realm_empty_trash"),
)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def test_every_reference_of_the_document_leads_to_a_shape_and_every_shape_is_used() -> None:
    used = set(references(DOCUMENT))
    shapes = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert used <= shapes
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    names = [operation["operationId"] for _, operation in pages.operations(DOCUMENT)]
    assert len(names) == len(set(names))


async def test_what_is_served_is_what_is_checked_in(rest: Rest) -> None:
    assert (await rest.get("/openapi.json")) == DOCUMENT
    page = await rest.ask("GET", "/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.body.decode() == pages.html()


def test_the_page_has_every_address_and_nothing_from_elsewhere() -> None:
    page = pages.html()
    for name, _ in pages.operations(DOCUMENT):
        assert f"<code>{name}</code>" in page
    for word in ("<script", "http:", "https:", "src=", "@import", "url("):
        assert word not in page


@pytest.mark.parametrize(("flag", "made"), [("--print-openapi", openapi.text), ("--print-docs", pages.html)])
def test_the_documents_are_printed_without_a_server(flag: str, made: Any) -> None:
    done = subprocess.run([sys.executable, "-m", "rkat_shims.rest", flag], capture_output=True, text=True, check=True)
    assert done.stdout == made()


@pytest.fixture(scope="module")
def served() -> Iterator[RestProcess]:
    """A real `rkat-rest` over a real daemon, with a model that always answers."""
    place = Place()
    with GatedModel() as model:
        place.use(model.url)
        try:
            with rest_process(place, "--default-model", "openai/scripted") as rest:
                for _ in range(2):
                    assert rest.ask("POST", "/sessions", {"prompt": "hello"})[0] == 200
                yield rest
        finally:
            place.close()


def _tried(served: RestProcess, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Schemathesis calls every address with what fits its schema, and with what does not, and checks each answer."""
    (folder / "schemathesis.toml").write_text(
        f'headers = {{ Authorization = "{served.authorization}" }}\n'
        # A backend that is not installed is 501 in the one table.
        '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", "501"]\n'
        "[checks.negative_data_rejection]\n"
        # A precondition may be judged before what else is wrong.
        'expected-statuses = ["400", "401", "403", "404", "405", "409", "412", "5xx"]\n'
    )
    return subprocess.run(
        [
            *(str(Path(sys.executable).with_name("st")), "run", str(ROOT / "docs/reference/openapi.json")),
            *("--url", served.url, "--exclude-checks", _NOT_CHECKED, "--generation-database", "none"),
            *(word for name in _NOT_CALLED for word in ("--exclude-operation-id", name)),
            *("--seed", "1", "--no-shrink", "--continue-on-failure", "--warnings", "off", "--request-timeout", "30"),
            *arguments,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_answer_is_as_the_document_says(served: RestProcess, tmp_path: Path) -> None:
    done = _tried(served, tmp_path, "--phases", "fuzzing", "-n", "4", "--max-time", "20")
    assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_every_answer_is_as_the_document_says_for_long(served: RestProcess, tmp_path: Path) -> None:
    done = _tried(served, tmp_path, "--phases", "examples,coverage,fuzzing", "-n", "100", "--max-time", "600")
    assert done.returncode == 0, done.stdout
