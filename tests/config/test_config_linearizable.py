"""Compare-and-set across many clients of a real daemon, judged by a checker that is itself judged first."""

import time
from math import inf
from random import Random

import pytest
import trio
from tests.behaviours.surfaces import Framed, Peer, Refused
from tests.config.linearizability import Operation, config_step, is_linearizable
from tests.support.daemon_process import running_daemon

CLIENTS = 64
HANG_SECONDS = 300


def check(history: list[Operation]) -> bool:
    return is_linearizable(history, start=(0, None), step=config_step)


def write(call: float, end: float, value: int, *, expected: int | None, made: int) -> Operation:
    return Operation(call, end, ("write", expected, value), ("written", made))


def get(call: float, end: float, generation: int, value: int | None) -> Operation:
    return Operation(call, end, ("get",), ("is", generation, value))


W1 = write(0, 1, 10, expected=0, made=1)


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        ([W1, get(2, 3, 1, 10)], True),
        ([W1, get(2, 3, 0, None)], False),
        ([W1, get(0.5, 3, 0, None)], True),
        ([W1, get(2, 3, 1, 11)], False),
        ([W1, write(0, 1, 20, expected=0, made=1)], False),
        ([W1, write(0, 1, 20, expected=1, made=2), get(2, 3, 2, 20)], True),
        ([W1, write(0, 1, 20, expected=None, made=2), get(2, 3, 2, 10)], False),
        ([W1, Operation(2, 3, ("write", 0, 20), ("conflict", 1))], True),
        ([W1, Operation(2, 3, ("write", 1, 20), ("conflict", 1))], False),
        ([Operation(0, inf, ("write", 0, 10)), get(1, 2, 0, None)], True),
        ([Operation(0, inf, ("write", 0, 10)), get(1, 2, 1, 10), get(3, 4, 1, 10)], True),
        ([Operation(0, inf, ("write", 0, 10)), get(1, 2, 1, 10), get(3, 4, 0, None)], False),
        ([Operation(5, inf, ("write", 0, 10)), get(1, 2, 1, 10)], False),
    ],
)
def test_the_checker_tells_possible_histories_from_impossible_ones(history: list[Operation], verdict: bool):
    assert check(history) is verdict


def random_history(random: Random, operations: int) -> list[Operation]:
    """What a correct config would answer to eight clients, with some answers lost."""
    state, clocks, history = (0, None), [0.0] * 8, []
    moment = 0.0
    for number in range(operations):
        client = random.randrange(8)
        moment = max(moment, clocks[client]) + random.random()
        call, end = max(clocks[client], moment - random.random() * 5), moment + random.random() * 5
        clocks[client] = end + 0.001
        if random.random() < 0.4:
            history.append(get(call, end, *state))
            continue
        expected = random.choice([None, state[0], max(0, state[0] - 1)])
        if expected not in (None, state[0]):
            history.append(Operation(call, end, ("write", expected, number), ("conflict", state[0])))
            continue
        state = (state[0] + 1, number)
        lost = random.random() < 0.05
        answer = None if lost else ("written", state[0])
        history.append(Operation(call, inf if lost else end, ("write", expected, number), answer))
    return history


def test_the_checker_passes_correct_histories_and_fails_each_planted_stale_read():
    for seed in range(20):
        history = random_history(Random(seed), 200)
        assert check(history)
        last = max(each.end for each in history if each.end != inf)
        generations = [each.answered[1] for each in history if each.answered and each.answered[0] == "written"]
        assert not check([*history, get(last + 1, last + 2, generations[0] - 1, None)])


async def recorded_history(socket_path: str, *, writes: int) -> list[Operation]:
    """Clients that read, patch and now and then expect too little, until `writes` of them were asked for."""
    history: list[Operation] = []
    left = writes

    async def client(number: int) -> None:
        nonlocal left
        random = Random(number)
        async with await trio.open_unix_socket(socket_path) as stream, trio.open_nursery() as nursery:
            peer = Peer(Framed(stream), nursery)
            nursery.start_soon(peer.read)
            await peer.call("initialize", realm_id="shared")
            known = 0
            while left > 0:
                call = time.monotonic()
                if random.random() < 0.3:
                    answer = await peer.call("config/get")
                    known = answer["generation"]
                    value = answer["config"].get("agent", {}).get("provider_params", {}).get("n")
                    history.append(Operation(call, time.monotonic(), ("get",), ("is", known, value)))
                    continue
                left -= 1
                value, expected = number * 1_000_000 + left, random.choice([None, known, known])
                more = {} if expected is None else {"expected_generation": expected}
                try:
                    patch = {"agent": {"provider_params": {"n": value}}}
                    made = (await peer.call("config/patch", patch=patch, **more))["generation"]
                    outcome, known = ("written", made), made
                except Refused as refused:
                    if (refused.code, refused.details["expected_generation"]) != ("CONFIG_CONFLICT", expected):
                        raise
                    known = refused.details["current_generation"]
                    outcome = ("conflict", known)
                history.append(Operation(call, time.monotonic(), ("write", expected, value), outcome))
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as clients:
        for number in range(CLIENTS):
            clients.start_soon(client, number)
    return history


async def hold_writes_together(writes: int) -> None:
    with trio.fail_after(HANG_SECONDS * (1 + writes // 1_000)), running_daemon() as daemon:
        history = await recorded_history(daemon.socket_path, writes=writes)
    assert sum(each.asked[0] == "write" for each in history) >= writes
    made = sorted(each.answered[1] for each in history if each.answered[0] == "written")
    assert made == list(range(1, len(made) + 1)), "every accepted write is one generation more"
    assert check(history)
    stale = get(history[-1].end + 1, history[-1].end + 2, made[-1] - 1, None)
    assert not check([*history, stale])


async def test_sixty_four_clients_see_one_config():
    await hold_writes_together(1_000)


@pytest.mark.long
async def test_sixty_four_clients_see_one_config_for_ten_thousand_writes():
    await hold_writes_together(10_000)
