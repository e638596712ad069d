"""What a page with a door's token gets at: nothing that names a program, a file or an address of the machine."""

from typing import Any

import pytest

from meerkatd.contract.config_document import ConfigDocument
from meerkatd.contract.methods import NAMES
from meerkatd.errors import PermissionDenied
from meerkatd.methods.web import CONFIG, METHODS, check


@pytest.mark.parametrize("method", [name for name in METHODS if name in NAMES])
def test_what_is_for_the_machines_own_programs_is_refused(method: str) -> None:
    with pytest.raises(PermissionDenied):
        check(method, {})


@pytest.mark.parametrize(
    ("method", "params", "field"),
    [
        ("initialize", {"workspace": "/etc"}, "workspace"),
        ("initialize", {"credentials": {"openai": {"base_url": "http://evil"}}}, "credentials.openai.base_url"),
        ("session/create", {"prompt": "x", "workspace": "/"}, "workspace"),
        ("session/create", {"prompt": "x", "enable_shell": True}, "enable_shell"),
        ("session/create", {"prompt": "x", "tools": "full"}, "tools"),
        ("turn/start", {"prompt": "x", "tools": ["shell"]}, "tools"),
        ("config/patch", {"patch": {"providers": {"base_urls": {"openai": "http://evil"}}}}, "patch.providers"),
        ("config/patch", {"patch": {"agent": {"system_prompt_file": "/etc/passwd"}}}, "patch.agent.system_prompt_file"),
        # The policy of tools would go with them.
        ("config/patch", {"patch": {"tools": None}}, "patch.tools"),
        ("config/patch", {"patch": {"agent": None}}, "patch.agent"),
        ("config/patch", {"patch": {"servers": {"x": {"base_url": "http://evil"}}}}, "patch.servers"),
        ("config/patch", {"patch": {"agent": {"provider_params": {}}}}, "patch.agent.provider_params"),
        ("config/patch", {"patch": {"providers": None}}, "patch.providers"),
    ],
)
def test_what_names_a_program_a_file_or_an_address_is_refused(method: str, params: Any, field: str) -> None:
    with pytest.raises(PermissionDenied) as caught:
        check(method, params)
    assert caught.value.details == {"field": field}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("initialize", {"realm_id": "r", "credentials": {"openai": {"api_key": "k", "base_url": "http://mine"}}}),
        ("session/create", {"prompt": "x", "enable_shell": False, "tools": "safe", "workspace": None}),
        ("tools/register", {"tools": []}),
        ("config/patch", {"patch": {"agent": {"model": "m", "temperature": None}, "retry": {"max_retries": 1}}}),
        # What is not well-formed is refused by the shapes, with better words.
        ("config/patch", {"patch": "x"}),
        ("config/patch", {"patch": {"agnet": {}, "agent": {"modle": 1}}}),
        ("initialize", {"credentials": [1]}),
    ],
)
def test_everything_else_passes(method: str, params: Any) -> None:
    check(method, params)


def test_what_may_be_written_exists() -> None:
    for section, keys in CONFIG.items():
        kind: Any = ConfigDocument.model_fields[section].annotation
        assert keys <= set(kind.model_fields)
