"""Clients that read slowly, not at all, or die: the turn goes on, and what is kept for them is bounded."""

import socket

import trio
from tests.behaviours.conftest import House
from tests.behaviours.promises import except_over, holds
from tests.behaviours.surfaces import Framed
from tests.behaviours.test_events import text
from tests.behaviours.test_sessions import create
from tests.support.scripted_provider import Gate

from meerkat_client.wire.limits import OUTBOX_HIGH_WATER
from meerkatd.protocol.outbox import Outbox

WORD = "w" * 32 * 1024
# Far more than the socket's buffers and the outbox hold together, and less than is kept of a turn for late readers.
WORDS = 100
# One message that is being added when the outbox is at its mark.
SLACK = 2 * len(WORD)


async def deaf(house: House) -> tuple[trio.SocketStream, Framed]:
    """A connection by the socket of somebody who will not read."""
    stream = await trio.open_unix_socket(house.settings.socket_path)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    door = Framed(stream)
    await door.send({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"realm_id": "r"}})
    assert (await door.receive())["id"] == 1
    return stream, door


def watch_outboxes(monkeypatch) -> dict[Outbox, int]:
    """The largest that each outbox ever is, the oldest first."""
    sizes: dict[Outbox, int] = {}
    original = Outbox.send

    async def send(self: Outbox, data: bytes) -> None:
        await original(self, data)
        sizes[self] = max(self.size, sizes.get(self, 0))

    monkeypatch.setattr(Outbox, "send", send)
    return sizes


@holds("EVE-8", "TUR-4")
@except_over(mcp="what it keeps of a stream is bounded by itself: tests/mcp_shim")
async def test_a_client_that_does_not_read_holds_up_neither_its_turn_nor_others(house: House, monkeypatch):
    sizes = watch_outboxes(monkeypatch)
    stream, door = await deaf(house)
    async with stream, house.connect(realm_id="r") as other:
        gate = Gate()
        house.provider.answers(*[WORD] * WORDS, gate, "the end")
        await door.send({"jsonrpc": "2.0", "id": 2, "method": "session/create", "params": {"prompt": "talk"}})
        await gate.reached.wait()
        await other.call("session/stream_open", session_id="last", until="turn_end")
        # Words are kept as long as the turn runs; who is slow on a busy machine and gets them late is told of a gap.
        await other.wait_for(lambda: len(text(other.seen("session/stream_event"))) == len(WORD) * WORDS)
        gate.open()
        await other.wait_for(lambda: other.seen("session/stream_end"))
        assert text(other.seen("session/stream_event")) == WORD * WORDS + "the end"
        read = await other.call("session/read", session_id="last")
        assert read["last_turn"]["state"] == "completed"
        deafs = next(iter(sizes.values()))
        assert OUTBOX_HIGH_WATER <= deafs <= OUTBOX_HIGH_WATER + SLACK


@holds("EVE-8", "TUR-4")
async def test_a_client_that_dies_in_mid_turn_changes_nothing_for_the_turn(house: House):
    async with house.connect(realm_id="r") as other:
        session_id = await create(house, other)
        stream, door = await deaf(house)
        gate = Gate()
        house.provider.answers(WORD, gate, "the end")
        start = {"session_id": session_id, "prompt": "go"}
        await door.send({"jsonrpc": "2.0", "id": 2, "method": "turn/start", "params": start})
        await gate.reached.wait()
        # As the kernel ends the connection of a process that was killed: at once, with everything unread.
        await trio.aclose_forcefully(stream)
        await other.call("session/stream_open", session_id=session_id, until="turn_end")
        gate.open()
        await other.wait_for(lambda: other.seen("session/stream_end"))
        assert text(other.seen("session/stream_event")) == WORD + "the end"
        assert (await other.call("session/read", session_id=session_id))["last_turn"]["state"] == "completed"
