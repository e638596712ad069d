"""What only the blocking client has: Ctrl-C; and that the two clients are twins."""

import inspect
import os
import signal
import threading
from typing import Any

import pytest
from tests.sdk.flavours import MODEL
from tests.support.gated_model import Gate

import meerkat_client
from meerkat_client import Event, TextDelta, blocking

PAIRS = [
    (getattr(meerkat_client, name), getattr(blocking, name))
    for name in ("MeerkatClient", "Session", "DeferredSession", "EventStream", "EventSubscription")
]
# How each language spells the same.
_SPELLINGS = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
}


@pytest.mark.parametrize(("theirs", "ours"), PAIRS, ids=[pair[0].__name__ for pair in PAIRS])
def test_the_twin_has_the_same_members_with_the_same_arguments(theirs: type, ours: type) -> None:
    def members(kind: type) -> dict[str, Any]:
        found = {}
        for name, member in inspect.getmembers(kind):
            if name.startswith("_") and name not in (*_SPELLINGS, *_SPELLINGS.values()):
                continue
            arguments = list(inspect.signature(member).parameters.values()) if callable(member) else "property"
            shape = (
                [(each.name, each.kind, each.default) for each in arguments] if arguments != "property" else arguments
            )
            found[_SPELLINGS.get(name, name)] = shape
        return found

    assert members(theirs) == members(ours)


def interrupt_when(gate: Gate) -> threading.Thread:
    """Ctrl-C as soon as the model is at the gate."""

    def press() -> None:
        gate.wait_until_reached()
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    return thread


def test_ctrl_c_interrupts_the_turn_and_leaves_the_client_whole(house: Any) -> None:
    with blocking.MeerkatClient(**house.options()) as client:
        session = client.create_session("hello", model=MODEL)
        gate = Gate()
        house.model.answers("half", gate)
        pressing = interrupt_when(gate)
        with pytest.raises(KeyboardInterrupt):
            session.turn("go")
        pressing.join()
        details = session.read()
        assert details.last_turn is not None
        assert (details.is_active, details.last_turn["state"]) == (False, "interrupted")
        assert session.turn("next").text == "ok"
        gate.open()


def test_ctrl_c_in_a_stream_leaves_it_and_interrupts_its_turn(house: Any) -> None:
    with blocking.MeerkatClient(**house.options()) as client:
        session = client.create_session("hello", model=MODEL)
        gate = Gate()
        house.model.answers("half", gate)
        pressing = interrupt_when(gate)
        seen: list[Event] = []

        def read() -> None:
            with session.stream("go") as stream:
                seen.extend(stream)

        with pytest.raises(KeyboardInterrupt):
            read()
        pressing.join()
        assert session.turn("next").text == "ok"
        assert [m.stop_reason for m in session.history().messages if m.role == "block_assistant"][1] in (
            "cancelled",
            "end_turn",
        )
        assert not any(isinstance(event, TextDelta) and event.delta == "end" for event in seen)
        gate.open()
