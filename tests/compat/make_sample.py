"""Makes a sample of each realm format, as this version writes it: `python -m tests.compat.make_sample`.

A sample is the image of a crash: the files are copied while a turn is running, so that opening it also has to recover.
It is made once for each format, is checked in, and is never changed afterwards. The first format's is called by the
version that wrote it.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import trio
from tests.behaviours.surfaces import Peer, Refused
from tests.support.house import House, running_house
from tests.support.scripted_provider import Gate, tool_call

from meerkat_client.wire.version import VERSION
from meerkatd.store.blobs import FileBlobs
from meerkatd.store.sqlite.schema import FORMAT_VERSION

SAMPLES = Path(__file__).parent / "samples"
NAME = f"format-{FORMAT_VERSION}"
BACKENDS = ("sqlite", "jsonl")
TOOL = {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}


async def fill(house: House, peer: Peer) -> dict[str, Any]:
    """Sessions of every kind that a realm can have; what a later version must find."""
    peer.tool_answer = {"content": 'a meerkat: \u2603 "quoted"\n', "is_error": False}
    await peer.call("tools/register", tools=[TOOL])
    house.provider.answers("Let me see. ", tool_call("look", where="up"))
    house.provider.answers("I saw it.")
    plain = await peer.call("session/create", prompt="What is there? \u00e9\u4e16", labels={"team": "a"})
    house.provider.answers("Again.")
    await peer.call("turn/start", session_id="last", prompt="And now?", idempotency_key="sample-turn")
    house.provider.answers("Archived soon.")
    archived = await peer.call("session/create", prompt="Old", system_prompt="Be brief.")
    await peer.call("session/archive", session_id=archived["session_id"])
    deferred = await peer.call("session/create", prompt="Later", initial_turn="deferred")
    gate = Gate()
    house.provider.answers("half", gate)
    interrupted = await peer.begin("session/create", prompt="Stop me")
    await gate.reached.wait()
    await peer.call("turn/interrupt", session_id="last")
    try:
        await peer.reply(interrupted)
    except Refused as refused:
        stopped = refused.details["session_id"]
    await peer.call("config/set", config={"agent": {"temperature": 0.5}, "providers": {"api_keys": {"openai": "k"}}})
    await peer.call("config/patch", patch={"agent": {"temperature": 0.25}})
    forked = await peer.call("session/fork_at", session_id=plain["session_id"], message_index=3)
    house.provider.answers("Elsewhere.")
    await peer.call("turn/start", session_id=forked["session_id"], prompt="Another way")
    again = await peer.call("session/fork_at", session_id=forked["session_id"], message_index=5)
    return {
        "forked": forked["session_id"],
        "forked_again": again["session_id"],
        "plain": plain["session_id"],
        "archived": archived["session_id"],
        "deferred": deferred["session_id"],
        "interrupted": stopped,
    }


async def expected(peer: Peer, ids: dict[str, Any]) -> dict[str, Any]:
    """What reading the realm gives right now."""
    histories = {
        name: (await peer.call("session/history", session_id=session_id))["messages"]
        for name, session_id in ids.items()
    }
    return {"version": VERSION, "ids": ids, "histories": histories, "blobs": []}


async def make(backend: str, root: str) -> None:
    target = SAMPLES / NAME / backend
    async with running_house(root) as house, house.connect(realm_id=f"sample-{backend}", backend=backend) as peer:
        ids = await fill(house, peer)
        facts = await expected(peer, ids)
        folder = os.path.join(house.settings.state_root, "realms", *house.realm_folders())
        facts["blobs"] = [await FileBlobs(folder).put(b"\x89PNG\r\n", "image/png")]
        gate = Gate()
        house.provider.answers(tool_call("look", where="down"))
        house.provider.answers("never stored", gate)
        running = await peer.begin("turn/start", session_id=ids["plain"], prompt="Lost")
        await gate.reached.wait()
        shutil.copytree(Path(house.settings.state_root) / "realms", target)
        (target / "expected.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
        gate.open()
        await peer.reply(running)


def main() -> int:
    for backend in BACKENDS:
        if (SAMPLES / NAME / backend).exists():
            print(f"{NAME}/{backend} exists; samples are never changed")
            return 1
        with tempfile.TemporaryDirectory(prefix="md-") as root:
            Path(root).chmod(0o700)
            trio.run(make, backend, root)
        print(SAMPLES / NAME / backend)
    return 0


if __name__ == "__main__":
    sys.exit(main())
