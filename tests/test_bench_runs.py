"""The benchmarks run; how fast anything is, is not asked here."""

import pytest
from tests.bench.__main__ import main
from tests.bench.harness import Row, Scale, over_rounds, percentile
from tests.bench.registry import BENCHES


@pytest.mark.parametrize("name", BENCHES)
def test_bench_measures_something(name: str) -> None:
    """Each bench starts its own processes, so a change of the daemon that breaks one is seen here."""
    rows = list(BENCHES[name](Scale(quick=True)))
    assert rows
    # The CPU of a few requests may be less than the clock's tick.
    assert all(row.figure > 0 for row in rows if row.unit != "us")
    assert any(row.met is not None for row in rows) or name in ("throughput", "cold_start"), "a bench has a goal"


def test_goal_is_judged_on_what_the_row_says() -> None:
    assert Row(what="", figure=4, goal=5).met is True
    assert Row(what="", figure=6, goal=5).met is False
    assert Row(what="", figure=6, baseline=4, goal=1.2, judged="ratio").met is False
    assert Row(what="", figure=6, baseline=4, goal=3, judged="difference").met is True
    assert Row(what="", figure=6).met is None


def test_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(value) for value in range(1, 101)], 0.99) == 99.0
    assert percentile([7.0], 0.99) == 7.0


def test_a_slow_round_does_not_change_the_figure() -> None:
    assert over_rounds([[0.001], [0.002], [9.0]], 0.5) == 2.0


def test_table_of_one_bench_is_printed(capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    assert main(["--quick", "--only", "interrupt", "--json", str(tmp_path / "rows.json")]) == 0
    assert "interrupt to commit, p99" in capsys.readouterr().out
    assert (tmp_path / "rows.json").read_text().startswith("[")
