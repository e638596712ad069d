"""Budgets and a daemon that is killed: what was spent stays spent, for every surface."""

from typing import Any

import pytest
from tests.support.daemon_process import DaemonProcess, running_daemon
from tests.support.gated_model import Gate, GatedModel

from meerkat_client import BudgetExhaustedError

# The model counts 7 tokens of input and one of output for each answer; a price that makes it a round sum.
SPENT = 0.01


def configure(daemon: DaemonProcess, model: GatedModel, **limits: Any) -> None:
    config = {
        "servers": {"box": {"base_url": model.url, "default_model": "m"}},
        "prices": {"box/m": {"input": 1000.0, "output": 3000.0}},
        "tools": {"level": "none"},
        "limits": limits,
    }
    with daemon.client(realm_id="r") as client:
        client.call("config/set", {"config": config})


def test_a_realms_budget_still_counts_after_kill_9_and_for_two_clients_at_once() -> None:
    with GatedModel() as model, running_daemon() as daemon:
        configure(daemon, model)
        with daemon.client(realm_id="r") as client:
            result = client.call("session/create", {"prompt": "one", "model": "box"})
            assert result["cost"]["usd"] == pytest.approx(SPENT)
        # Another turn is in the middle of its call.
        gate = Gate()
        model.answers("half", gate)
        with daemon.client(realm_id="r") as client:
            client.begin("session/create", {"prompt": "two", "model": "box"})
            gate.wait_until_reached()
            daemon.kill()
        daemon.start()
        configure(daemon, model, max_cost=SPENT, period="ever")
        with daemon.client(realm_id="r") as client, daemon.client(realm_id="r") as other:
            for each in (client, other):
                with pytest.raises(BudgetExhaustedError) as refused:
                    each.call("session/create", {"prompt": "three", "model": "box"})
                assert refused.value.details["scope"] == "realm"
                assert refused.value.details["used"] == round(SPENT * 10**9)
            total = client.call("usage/read", {"by": "model"})["total"]
            assert (total["calls"], total["cost"]["usd"]) == (1, pytest.approx(SPENT))
