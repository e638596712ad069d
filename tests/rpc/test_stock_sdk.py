"""The stock SDKs drive `rkat-rpc` unchanged, over everything that is promised to their users."""

from pathlib import Path

import pytest
from tests.rpc.rpc_kit import Place
from tests.rpc.stock_sdk import StockSdk
from tests.support.gated_model import Gate, GatedModel, Step, ToolCall

HERE = Path(__file__).parent

# For each scene the model's answers, one tuple each; without any it says "ok".
SCENES_096: dict[str, list[tuple[Step, ...]]] = {
    "connect": [],
    "live_flags": [],
    "create_and_turn": [("one",), ("two",)],
    "list_history_archive": [],
    "stream": [("Once", " upon"), ("again",)],
    "interrupt": [("ok",), ("half", Gate())],
    "deferred": [("one",)],
    "config": [],
    "tools": [
        (ToolCall("weather", {"place": "Rome"}),),
        ("It rains.",),
        (ToolCall("broken", {}),),
        ("It does not work.",),
    ],
    "structured": [('{"age": 4}',), ("four",), ("four",), ('{"age": 5}',)],
    "compaction": [("ok",), ("a",) * 1200, ("SUMMARY",), ("fine",)],
    "subscribe": [],
    "fork_and_inject": [],
    "runtime_and_events": [],
    "two_clients": [("ok",), ("half", Gate())],
    "unknown_method": [],
    "wrong_backend": [],
    "failed_turn": [(401,)],
}


@pytest.mark.parametrize("scene", SCENES_096)
def test_stock_sdk_096_drives_it_unchanged(scene: str, sdk_096: StockSdk, place: Place, model: GatedModel) -> None:
    for steps in SCENES_096[scene]:
        model.answers(*steps)
    sdk_096.run(HERE / "scenes_096.py", scene, place)


SCENES_052: dict[str, list[tuple[Step, ...]]] = {
    "turns": [("one",), ("two",)],
    "stream": [("Once", " upon")],
    "interrupt": [("ok",), ("half", Gate())],
    "tools": [(ToolCall("weather", {"place": "Rome"}),), ("It rains.",)],
    "config_and_subscription": [],
}


@pytest.mark.parametrize("scene", SCENES_052)
def test_stock_sdk_052_drives_it_when_its_contract_is_announced(
    scene: str, sdk_052: StockSdk, place: Place, model: GatedModel
) -> None:
    """Measured: this SDK reads a turn's events without their envelope, and otherwise knows none of them."""
    for steps in SCENES_052[scene]:
        model.answers(*steps)
    sdk_052.run(HERE / "scenes_052.py", scene, place, MEERKAT_CONTRACT_VERSION="0.5.2")
