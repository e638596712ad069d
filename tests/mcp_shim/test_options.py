"""The command line of `rkat-mcp`."""

import pytest

from meerkat_client.errors import RkatError
from rkat_shims.mcp.__main__ import main
from rkat_shims.mcp.options import parse


def test_the_public_contracts_flags_are_taken(tmp_path):
    flags = ["-r", "team", "--instance", "i", "--realm-backend", "memory", "--state-root", "/s", "--default-model", "m"]
    options = parse([*flags, "--expose-paths", "--context-root", "/x"])
    assert options.connect == {
        "surface": "mcp",
        "name": "rkat-mcp",
        "realm_id": "team",
        "instance_id": "i",
        "realm_backend": "memory",
        "state_root": "/s",
    }
    assert (options.default_model, options.expose_paths) == ("m", True)
    assert "--context-root has no effect" in options.notes[0]
    assert parse(["--workspace", str(tmp_path)]).connect["workspace"] == str(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--realm", "a", "--isolated"],
        ["--realm", "a", "--workspace", "/"],
        ["--realm", ""],
        ["--realm"],
        ["--reaml", "a"],
        ["more"],
        ["--workspace", "/nothing/like/this"],
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(RkatError) as error:
        parse(arguments)
    assert error.value.code == "INVALID_PARAMS"
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "rkat-mcp --help" in shown.err
