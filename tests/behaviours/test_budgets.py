"""Budgets over the socket: what a request may say of them, what it gets, and what usage/read tells."""

from dataclasses import replace
from typing import Any

import pytest
from tests.behaviours.surfaces import Peer, Refused
from tests.support.house import House
from tests.support.scripted_provider import ScriptedAgents

from meerkatd.agent.limits import Limits, RealmLimits

NO_LIMITS: dict[str, list[Any]] = {
    "max_tokens": [0, -5, 2**52, 1.5, True, "9"],
    "max_tool_calls": [-1, 2**52],
    "max_cost": [0, -0.01, 1e300, "5"],
    "max_duration": [0, -3, "soon", 1e12, [], "-3s"],
    "max_wishes": [3],
}


async def refused(peer: Peer, method: str, **params: Any) -> dict[str, Any]:
    """Code and details of the error."""
    with pytest.raises(Refused) as error:
        await peer.call(method, **params)
    return {"code": error.value.code, "details": error.value.details}


async def test_a_limit_that_is_none_is_refused_whole_with_its_path(house: House):
    async with house.connect(realm_id="r") as peer:
        for params in ("budget_limits", "session_budget_limits"):
            for field, values in NO_LIMITS.items():
                for value in values:
                    error = await refused(peer, "session/create", prompt="x", **{params: {field: value}})
                    assert error["code"] == "INVALID_PARAMS", (field, value)
                    assert error["details"]["field"] == f"{params}.{field}"
        assert (await peer.call("session/list"))["sessions"] == []
    assert house.realm_folders() == []


async def test_usage_is_told_by_day_session_model_and_realm(house: House):
    async with house.connect(realm_id="one") as peer, house.connect(realm_id="two") as other:
        for each, text in ((peer, "a"), (peer, "b"), (other, "c")):
            house.provider.answers(text)
            await each.call("session/create", prompt=f"say {text}")
        for by, rows in (("day", 1), ("session", 2), ("model", 1), ("realm", 1)):
            report = await peer.call("usage/read", by=by)
            assert len(report["rows"]) == rows
            assert report["total"]["calls"] == sum(row["calls"] for row in report["rows"]) == 2
            assert "cost" not in report["total"]
        everywhere = await other.call("usage/read", by="realm", all_realms=True)
        assert sorted((row["key"], row["calls"]) for row in everywhere["rows"]) == [("one", 2), ("two", 1)]
        titled = await peer.call("usage/read", by="session", limit=1)
        assert titled["rows"][0]["title"] in ("say a", "say b")
        assert titled["omitted"] == 1
        assert (await peer.call("usage/read", until="1999-12-31"))["rows"] == []
        assert (await peer.call("usage/read", since="9999-12-31", until="9999-12-31"))["rows"] == []


@pytest.mark.parametrize(
    "params",
    [{"since": "2026-13-01"}, {"since": "20261101"}, {"by": "moon"}, {"all_realms": True, "session_id": "last"}],
)
async def test_a_question_about_usage_that_means_nothing_is_refused(house: House, params):
    async with house.connect(realm_id="r") as peer:
        assert (await refused(peer, "usage/read", **params))["code"] == "INVALID_PARAMS"


async def test_usage_of_a_realm_that_does_not_exist_yet_is_nothing_and_makes_nothing(house: House):
    async with house.connect(realm_id="none") as peer:
        report = await peer.call("usage/read", by="model")
        assert (report["rows"], report["total"]["calls"]) == ([], 0)
    assert house.realm_folders() == []


async def test_limits_of_the_config_bind_a_realm_for_all_who_use_it_and_survive_a_restart(house: House, monkeypatch):
    plain = ScriptedAgents.defaults
    limited = RealmLimits(limits=Limits(tokens=8), period="day")
    monkeypatch.setattr(ScriptedAgents, "defaults", lambda self: replace(plain(self), realm_limits=limited))
    async with house.connect(realm_id="r") as peer:
        error = await refused(peer, "session/create", prompt="one")
        assert (error["code"], error["details"]["scope"]) == ("BUDGET_EXHAUSTED", "realm")
        assert error["details"]["session_created"] is True
    monkeypatch.setattr(ScriptedAgents, "defaults", plain)
    async with house.connect(realm_id="r") as peer:
        house.provider.answers("one")
        await peer.call("session/create", prompt="one")
    monkeypatch.setattr(ScriptedAgents, "defaults", lambda self: replace(plain(self), realm_limits=limited))
    await house.restart()
    async with house.connect(realm_id="r") as peer, house.connect(realm_id="r") as other:
        for each in (peer, other):
            error = await refused(each, "session/create", prompt="two")
            assert error["details"]["used"] == 8
            assert "session_created" not in error["details"]
