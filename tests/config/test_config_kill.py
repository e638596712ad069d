"""kill -9 in the middle of config writes: document and generation always agree, and an unanswered write is repeated
by its key without being made twice."""

import os
import signal
import threading
from random import Random

import pytest
from tests.support.daemon_process import DaemonProcess, running_daemon

from meerkat_client.errors import RkatError

# Long enough for some writes, short enough that most kills come in the middle of one.
MAX_DELAY_SECONDS = 0.05


def write(client, generation: int):
    """A write that puts its own generation into the document."""
    return client.call(
        "config/patch",
        {
            "patch": {"agent": {"provider_params": {"n": generation}}},
            "expected_generation": generation - 1,
            "idempotency_key": f"write {generation}",
        },
    )


def write_until_killed(daemon: DaemonProcess, generation: int, delay: float) -> int:
    """Write until the daemon is dead; the last generation that was answered."""
    with daemon.client(realm_id="r") as client:
        killer = threading.Timer(delay, os.kill, (daemon.pid, signal.SIGKILL))
        killer.start()
        try:
            while True:
                generation = write(client, generation + 1)["generation"]
        except RkatError as error:
            if error.code != "DAEMON_UNAVAILABLE":
                raise
        finally:
            killer.join()
    return generation


def hold_under_kills(kills: int) -> None:
    random = Random(7396)
    generation = interrupted = 0
    with running_daemon() as daemon:
        for _ in range(kills):
            generation = write_until_killed(daemon, generation, random.random() * MAX_DELAY_SECONDS)
            daemon.kill()
            daemon.start()
            with daemon.client(realm_id="r") as client:
                found = client.call("config/get")
                written = found["config"].get("agent", {}).get("provider_params", {}).get("n", 0)
                assert written == found["generation"], "document and generation agree"
                assert generation <= written <= generation + 1, "what was answered is there"
                interrupted += written > generation
                again = write(client, generation + 1)
                assert again["generation"] == generation + 1
                assert again.get("replayed", False) is (written > generation)
                generation += 1
                assert client.call("config/get")["generation"] == generation


def test_document_and_generation_agree_after_every_kill():
    hold_under_kills(3)


@pytest.mark.long
def test_document_and_generation_agree_after_two_hundred_kills():
    hold_under_kills(200)
