"""Every realm that a released version has left behind opens, is whole, and can be used."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest
import trio
from tests.compat.make_sample import SAMPLES
from tests.support.house import running_house

HANG_SECONDS = 30
FOLDERS = sorted(path for path in SAMPLES.glob("*/*") if path.is_dir())


def lay_out(sample: Path, root: Path) -> None:
    """The sample as a state root, with the modes that the daemon gives (a checkout does not keep them)."""
    root.chmod(0o700)
    shutil.copytree(sample, root / "state" / "realms", ignore=shutil.ignore_patterns("expected.json"))
    for path in (root / "state", *(root / "state").rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)


def test_there_is_a_sample_of_each_durable_backend():
    assert {path.name for path in FOLDERS} == {"sqlite", "jsonl"}


@pytest.mark.parametrize("sample", FOLDERS, ids=lambda path: f"{path.parent.name}-{path.name}")
async def test_a_realm_of_an_earlier_version_opens_whole_and_goes_on(sample: Path):
    facts = json.loads((sample / "expected.json").read_text())
    ids = facts["ids"]
    with trio.fail_after(HANG_SECONDS), tempfile.TemporaryDirectory(prefix="md-") as root:
        lay_out(sample, Path(root))
        async with running_house(root) as house, house.connect(realm_id=f"sample-{sample.name}") as peer:
            listed = await peer.call("session/list", include_archived=True)
            assert {row["session_id"] for row in listed["sessions"]} == set(ids.values())
            assert {row["backend"] for row in listed["sessions"]} == {sample.name}

            for name, committed in facts["histories"].items():
                now = (await peer.call("session/history", session_id=ids[name]))["messages"]
                assert now[: len(committed)] == committed
                # The turn that was running when the files were copied is told as lost; nothing else was added.
                assert len(now) - len(committed) == (2 if name == "plain" else 0)

            lost = await peer.call("turn/read", session_id=ids["plain"])
            assert lost["state"] == "lost"
            assert [call["fate"] for call in lost["tool_calls"]] == ["ran"]
            plain = await peer.call("session/read", session_id=ids["plain"])
            assert plain["labels"] == {"team": "a"}
            archived = await peer.call("session/read", session_id=ids["archived"])
            assert (archived["archived"], archived["system_prompt"]) == (True, "Be brief.")
            assert (await peer.call("session/read", session_id=ids["deferred"]))["staged_prompt"] == "Later"
            again = await peer.call(
                "turn/start", session_id=ids["plain"], prompt="And now?", idempotency_key="sample-turn"
            )
            assert again["text"] == "Again."

            for blob_id in facts.get("blobs", ()):
                assert (await peer.call("blob/get", blob_id=blob_id))["media_type"] == "image/png"
            checked = await peer.call("realm/check")
            assert checked["whole"], checked["findings"]

            config = await peer.call("config/get")
            assert (config["generation"], config["config"]["agent"]["temperature"]) == (2, 0.25)

            house.provider.answers("on we go")
            turn = await peer.call("turn/start", session_id=ids["plain"], prompt="And after all that?")
            assert turn["text"] == "on we go"
