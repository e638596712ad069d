"""A client that is too new for the daemon: the daemon makes way when what is installed is newer than it is."""

import pytest
import trio
from tests.behaviours.surfaces import Refused
from tests.support.house import running_house

from meerkat_client.wire.version import PROTOCOL_MAX, VERSION
from meerkatd.errors import InvalidParams
from meerkatd.methods import connection


def _installed(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    """What the interpreter of this daemon would run next."""

    async def probe(program: str | None) -> str:
        await trio.lowlevel.checkpoint()
        if version is None:
            raise InvalidParams("The installed program cannot be run.")
        return version

    monkeypatch.setattr(connection, "probe", probe)


@pytest.mark.parametrize(("version", "makes_way"), [("999.0.0", True), (VERSION, False), (None, False)])
async def test_a_daemon_makes_way_for_a_newer_program_and_for_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, version: str | None, makes_way: bool
) -> None:
    _installed(monkeypatch, version)
    root = str(tmp_path_factory.mktemp("up"))
    async with running_house(root) as house, house.connect(greet=False) as peer:
        newer = {"min": PROTOCOL_MAX + 1, "max": PROTOCOL_MAX + 2}
        with pytest.raises(Refused) as caught:
            await peer.call("initialize", protocol=newer)
        assert caught.value.code == "VERSION_MISMATCH"
        assert caught.value.details["restarting"] is makes_way
        if not makes_way:
            assert (await peer.call("initialize"))["pid"]
