"""The page for Prometheus: what it tells, whom it refuses, and that the daemon works without it."""

import http.client
import os
import socket
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.daemon_process import DaemonProcess, running_daemon
from tests.support.gated_model import GatedModel

from meerkat_client.wire.faults import WireError
from meerkatd.settings import parse_settings


@pytest.fixture(scope="module")
def model() -> Iterator[GatedModel]:
    with GatedModel() as server:
        yield server


@pytest.fixture(scope="module")
def daemon(model: GatedModel) -> Iterator[DaemonProcess]:
    environ = {"MEERKAT_METRICS": "127.0.0.1:0", "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "sk-canary"}
    with running_daemon(**environ) as process:
        yield process


def _url(daemon: DaemonProcess) -> str:
    with daemon.client() as client:
        url: str = client.call("daemon/status")["metrics_url"]
    return url


def _page(daemon: DaemonProcess) -> str:
    with urllib.request.urlopen(_url(daemon), timeout=10) as reply:
        text: str = reply.read().decode()
    return text


def _sample(page: str, name: str, **labels: str) -> float:
    found = [
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name and all(sample.labels.get(key) == value for key, value in labels.items())
    ]
    assert len(found) == 1, f"{name} {labels}: {found}"
    value: float = found[0]
    return value


def test_a_turn_is_counted_with_its_commits_and_its_call_of_the_model(daemon: DaemonProcess, model: GatedModel) -> None:
    """Read by the library's own parser, which is what scrapers agree on."""
    with daemon.client(realm_id="counted") as client:
        client.call("session/create", {"prompt": "a secret prompt"})
    page = _page(daemon)
    assert _sample(page, "meerkat_turns_total", outcome="completed") == 1
    assert _sample(page, "meerkat_turn_seconds_count") == 1
    assert _sample(page, "meerkat_provider_seconds_count", provider="openai") == 1
    assert _sample(page, "meerkat_commit_seconds_count", backend="sqlite") >= 2
    assert _sample(page, "meerkat_open_realms") == 1
    assert _sample(page, "meerkat_memory_bytes") > 10_000_000


def test_the_page_names_nothing_of_anybodys_work(daemon: DaemonProcess) -> None:
    with daemon.client(realm_id="private-realm") as client:
        session = client.call("session/create", {"prompt": "a secret prompt"})
    page = _page(daemon)
    for secret in ("private-realm", session["session_id"], "secret prompt", "sk-canary"):
        assert secret not in page


def _ask(daemon: DaemonProcess, method: str, target: str, headers: dict[str, str]) -> int:
    address = _url(daemon).removeprefix("http://").split("/")[0]
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.putrequest(method, target, skip_host=True)
        for name, value in {"Host": address, **headers}.items():
            if value:
                connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        ("GET", "/metrics", {}, 200),
        ("HEAD", "/metrics", {}, 200),
        ("GET", "/", {}, 404),
        ("POST", "/metrics", {}, 405),
        ("GET", "/metrics", {"Host": "evil.example"}, 400),
        ("GET", "/metrics", {"Host": ""}, 400),
        ("GET", "/metrics", {"Origin": "http://evil.example"}, 403),
    ],
)
def test_a_page_that_the_user_visits_cannot_read_it(
    daemon: DaemonProcess, method: str, target: str, headers: dict[str, str], status: int
) -> None:
    """Rebinding a name to this machine changes the Host, and a page's own requests carry an Origin."""
    assert _ask(daemon, method, target, headers) == status


def test_rubbish_is_answered_and_the_next_scrape_works(daemon: DaemonProcess) -> None:
    host, port = _url(daemon).removeprefix("http://").split("/")[0].split(":")
    for rubbish in (b"\x00\xff\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n", b"G" * 20_000):
        with socket.create_connection((host, int(port)), timeout=10) as sock:
            sock.sendall(rubbish)
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(100).startswith(b"HTTP/1.1 4")
    assert "meerkat_turns" in _page(daemon)


def test_a_port_that_is_taken_keeps_the_daemon_from_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running_daemon(MEERKAT_METRICS=f"127.0.0.1:{port}") as process, process.client() as client:
            assert "metrics_url" not in client.call("daemon/status")


def test_without_being_asked_there_is_no_page() -> None:
    with running_daemon() as process, process.client() as client:
        assert "metrics_url" not in client.call("daemon/status")


@pytest.mark.parametrize("address", ["0.0.0.0:9464", "192.0.2.1:1", "9464", "127.0.0.1:", "127.0.0.1:70000", "a:b:c"])
def test_an_address_beyond_this_machine_is_refused(address: str) -> None:
    with pytest.raises(WireError) as caught:
        parse_settings(["--metrics", address], environ={})
    assert caught.value.code == "INVALID_PARAMS"


def test_the_libraries_are_not_loaded_while_nobody_asks() -> None:
    """They cost 0.1 s and some MiB, which an idle daemon must not pay."""
    probe: Any = os.popen(
        f"{sys.executable} -c 'import sys, meerkatd.app; "
        'print(sorted({"prometheus_client", "opentelemetry"} & set(sys.modules)))\''
    ).read()
    assert probe.strip() == "[]"
