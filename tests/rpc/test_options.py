"""The command line: public flags, what has no effect, what is refused."""

import pytest

from meerkat_client.errors import RkatError
from meerkat_client.wire.version import CONTRACT_VERSION
from rkat_shims.rpc.options import FLAGS, parse, usage


def test_flags_of_the_public_contract_are_understood() -> None:
    options = parse(
        ["-r", "work", "--instance=i-1", "--realm-backend", "jsonl", "--state-root", "/s", "--default-model", "m"], {}
    )
    assert options.realm == "work"
    assert options.instance == "i-1"
    assert (options.backend, options.state_root, options.default_model) == ("jsonl", "/s", "m")
    assert options.contract_version == CONTRACT_VERSION
    assert options.notes == ()


def test_the_contract_version_comes_from_flag_then_environment() -> None:
    environ = {"MEERKAT_CONTRACT_VERSION": "0.5.2"}
    assert parse([], environ).contract_version == "0.5.2"
    assert parse(["--contract-version", "0.8.26"], environ).contract_version == "0.8.26"
    assert parse([], {"MEERKAT_CONTRACT_VERSION": ""}).contract_version == CONTRACT_VERSION


def test_what_a_stock_client_passes_and_has_no_effect_is_told() -> None:
    options = parse(["--live-ws-scheme", "wss", "--live-webrtc", "--context-root", "/c", "--isolated"], {})
    assert options.isolated
    assert [note.split()[0] for note in options.notes] == ["--live-ws-scheme", "--live-webrtc", "--context-root"]


def test_a_door_is_asked_for_with_the_pages_that_may_use_it() -> None:
    page, other = "http://localhost:5173", "http://127.0.0.1:5173"
    options = parse(["--live-ws=127.0.0.1:0", "--live-ws-origin", page, f"--live-ws-origin={other}"], {})
    assert (options.live_ws, options.live_ws_origins) == ("127.0.0.1:0", (page, other))
    assert parse([], {}).live_ws is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["positional"],
        ["--realm"],
        ["--realm="],
        ["--isolated=yes"],
        ["--tcp", "127.0.0.1:1"],
        ["--allow-remote"],
        ["--realm", "a", "--isolated"],
        ["--live-ws"],
        ["--live-ws-origin", "http://localhost:5173"],
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[str]) -> None:
    with pytest.raises(RkatError) as caught:
        parse(arguments, {})
    assert caught.value.code == "INVALID_PARAMS"


def test_help_names_every_flag_that_is_not_refused() -> None:
    text = usage()
    assert parse(["--isolated", "-h"], {}).text == text
    assert [name for name, flag in FLAGS.items() if name not in text] == [
        name for name, flag in FLAGS.items() if flag.refused
    ]
