"""The shell: its output bounded, its processes ended with it."""

import os
import signal
from contextlib import ExitStack

import pytest
import trio
from tests.agent.tools.conftest import Bench
from tests.support.processes import gone, told

from meerkatd.lifecycle.process import raise_file_limit


async def test_a_command_runs_in_the_workspace_and_tells_output_and_status(bench: Bench):
    assert await bench.ok("shell", command="pwd; echo err >&2") == f"{bench.root}\nerr"
    assert await bench.refused("shell", command="echo no; exit 3") == "no\n[It ended with status 3.]"
    assert await bench.ok("shell", command="true") == "[It ended with status 0 and wrote nothing.]"
    assert "status 137" in await bench.refused("shell", command="kill -9 $$")


async def test_a_command_has_no_input_and_no_secrets(bench: Bench, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hidden")
    monkeypatch.setenv("RKAT_ANYTHING", "hidden")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hidden")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/hidden")
    monkeypatch.setenv("OTHER", "seen")
    text = await bench.ok("shell", command="cat; env")
    assert "hidden" not in text
    assert "OTHER=seen" in text


async def test_much_output_is_cut_in_the_middle(bench: Bench):
    text = await bench.ok("shell", command="echo begin; yes | head -c 10000000; echo end")
    assert len(text) < 40_000
    assert text.startswith("begin")
    assert text.endswith("end")
    assert "bytes left out here" in text


async def test_a_command_that_takes_too_long_is_stopped_with_what_it_has_said(bench: Bench):
    told = await bench.refused("shell", command="echo begun; sleep 1000", timeout_seconds=0.5)
    assert told.startswith("begun\n")
    assert "stopped after 0.5 seconds" in told


@pytest.mark.parametrize("how", ["", "setsid ", "nohup "])
async def test_what_a_command_leaves_running_is_ended(bench: Bench, how):
    text = await bench.ok("shell", command=f"{how}sleep 1000 & echo $!")
    await gone(int(text))


# Each process tells its pid; the inner ones are told to ignore what the outer one ignores.
TREE = "sh -c 'sleep 1000 & echo $! $$ >pids; wait' & wait"


@pytest.mark.parametrize("stubborn", ["", "trap '' TERM; "])
async def test_a_cancelled_call_ends_the_whole_tree(bench: Bench, stubborn):
    os.mkfifo(bench.root / "pids")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: bench.call("shell", command=f"{stubborn}{TREE}"))
        pids = await told(bench.root / "pids")
        nursery.cancel_scope.cancel()
    for pid in pids.split():
        await gone(int(pid))


async def test_the_tool_s_own_time_is_kept_as_well(bench: Bench):
    bench.timeout = 0.5
    outcome = await bench.call("shell", command="sleep 1000")
    assert outcome.timed_out_ms == 500


async def test_a_killed_keeper_takes_its_command_along(bench: Bench):
    """Linux alone has a signal for that; elsewhere the command is left to the system."""
    os.mkfifo(bench.root / "pids")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: bench.call("shell", command="echo $$ $PPID >pids; sleep 1000"))
        command, keeper = map(int, (await told(bench.root / "pids")).split())
        os.kill(keeper, signal.SIGKILL)
    await gone(command)


async def test_a_command_runs_also_when_the_daemon_has_thousands_of_files_open(bench: Bench):
    """A daemon with many clients; what waits for the command's end is handed a descriptor beyond select's 1024."""
    assert raise_file_limit() > 1100
    with ExitStack() as held:
        for _ in range(1100):
            held.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        assert await bench.ok("shell", command="echo begun; sleep 0.1; echo ended") == "begun\nended"
