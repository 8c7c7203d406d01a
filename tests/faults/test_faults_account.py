"""Refusals that concern the whole account, met by the real command: the day stops at once and says where to mend it.

Thirty workers are in flight; each may meet the refusal once, and none starts another call after it has. Faults of single
targets are `test_faults.py`.
"""

import http.server
import ipaddress
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import collecting
import commands
import dagster as dg
import faults
import pytest
from faults import Fault, FaultPlan
from simulated_api import PRICE_USD, SimulatedApi

from backlinks_assets.collect.factory import open_store
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoint import Request
from backlinks_assets.dataforseo.endpoints.summary import SUMMARY, RequestParameters
from backlinks_assets.dataforseo.errors import RequestError, TransientError
from backlinks_assets.defs.partitions import range_tags
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used_folder")]

TARGETS, PAID = 45, 41
"""Of 90 calls the first 41 are answered; the next meet the refusal."""

REFUSALS = {
    "unverified": (faults.tasks_null(40104), "40104", "Verify it in the vendor's dashboard"),
    "balance-402": (faults.http_402(), "40200", "Top it up"),
    "balance-40210": (faults.code(40210), "40210", "Top it up"),
    "cost-limit": (faults.code(40203), "40203", "Raise it in the vendor's API settings"),
    "credentials": (faults.http(401), "HTTP 401", "Check the credentials"),
    "another-field": (faults.code(40501, "Invalid Field: 'rank_scale'."), "rank_scale", "Check the settings"),
    "redirect": (faults.redirect("{elsewhere}/v3/backlinks/summary/live"), "redirect", "Check DATAFORSEO_BASE_URL"),
}


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


QUICKLY = ("unverified", "balance-402", "redirect")


@pytest.mark.ci
@pytest.mark.parametrize(
    "name", [name if name in QUICKLY else pytest.param(name, marks=pytest.mark.ci) for name in REFUSALS]
)
def test_an_account_level_refusal_stops_the_day_at_once(api, write_targets, name: str) -> None:
    effect, cause, where = REFUSALS[name]
    with SimulatedApi(as_real=True) as elsewhere:
        if effect.text and "{elsewhere}" in effect.text:
            effect = faults.redirect(effect.text.format(elsewhere=elsewhere.url.replace("127.0.0.1", "localhost")))
        server = api(Fault(effect, calls=(PAID + 1, None)), latency_s=0.05)
        write_targets(*[f"shop{number:03d}.example" for number in range(TARGETS)])
        ended = commands.command("run", "--json")
        assert elsewhere.calls == []  # neither the credentials nor the question went there

    assert ended.status == 1
    assert cause in ended.err
    assert where in ended.err
    assert "Traceback" not in ended.err
    assert PAID < len(server.calls) <= PAID + 30
    assert server.spent_usd == pytest.approx(PAID * PRICE_USD)
    with open_store(Settings.from_env()) as store:
        assert len(store.stored_keys([commands.today()])) == PAID
        assert store.day_costs(commands.today()).cost_usd == pytest.approx(server.spent_usd)
    assert len(ended.summary["failed"]) >= TARGETS - PAID // 2

    if name == "balance-402":  # topped up: the next run pays for what is missing, and for nothing else
        server.faults = FaultPlan([])
        assert commands.command("run").status == 0
        assert server.spent_usd == pytest.approx(2 * TARGETS * PRICE_USD)


@pytest.mark.first
@pytest.mark.parametrize("name", ["unverified", "balance-402", "another-field"])
def test_a_run_of_the_ui_stops_at_once_as_well(api, write_targets, name: str) -> None:
    effect, cause, where = REFUSALS[name]
    server = api(Fault(effect, calls=(PAID + 1, None)), latency_s=0.05)
    targets = [f"shop{number:03d}.example" for number in range(TARGETS)]
    write_targets(*targets)
    settings, today = Settings.from_env(), str(commands.today())
    with open_instance(settings) as instance:
        add_missing_targets(instance, targets)
    run = commands.dagster_run("collect_job", range_tags(today, today, targets[0], targets[-1]))
    assert run.end().status == 1
    assert PAID < len(server.calls) <= PAID + 30
    assert server.spent_usd == pytest.approx(PAID * PRICE_USD)
    with open_store(settings) as store:
        assert len(store.stored_keys([commands.today()])) == PAID
    with open_instance(settings) as instance:
        (record,) = instance.get_run_records()
        (failed,) = instance.get_records_for_run(
            record.dagster_run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE
        ).records
    told = failed.event_log_entry.dagster_event.step_failure_data.user_failure_data.description
    assert cause in told
    assert where in told


@pytest.mark.ci
def test_an_api_that_is_not_there_is_told_in_a_sentence(write_targets, monkeypatch) -> None:
    write_targets("shop.example", "other.example")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # nobody listens there, nor is it given to another test as a free port
        collecting.point_at(monkeypatch, f"http://127.0.0.1:{deaf.getsockname()[1]}")
        ended = commands.command("run", "--json", patches={"collect.collector.MAX_ATTEMPTS": 2})
    assert ended.status == 3
    assert "Connection refused" in ended.err
    assert "Traceback" not in ended.err


# --- certificates -----------------------------------------------------------------------------------------------


class _Tls:
    """An HTTPS server on loopback whose certificate is for one name; it notes every request that is sent to it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.requests: list[dict[str, str]] = []
        kind = "IP" if _is_ip(name) else "DNS"
        self.certificate = folder / f"{name}.pem"
        key = folder / f"{name}.key"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
                *("-addext", f"subjectAltName={kind}:{name}", "-keyout", key, "-out", self.certificate),
            ],
            check=True,
            capture_output=True,
        )
        noted = self.requests

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                noted.append(dict(self.headers))
                self.send_response(404)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None: ...

            def get_request(self) -> tuple[socket.socket, object]:
                try:
                    return super().get_request()
                except ssl.SSLError as error:  # a client that hangs up in the handshake
                    raise OSError(str(error)) from None

        self._server = Quiet(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[type[_Tls]]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate, and is not there")
    started: list[_Tls] = []

    def start(name: str) -> _Tls:
        started.append(_Tls(tmp_path, name))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.mark.parametrize(
    ("name", "trusted", "cause"),
    [("127.0.0.1", False, "self-signed"), ("somebody-else.example", True, "mismatch")],
    ids=["signed-by-nobody", "of-another-host"],
)
def test_a_certificate_that_does_not_match_is_refused_before_anything_is_sent(
    tls, write_targets, monkeypatch, name: str, trusted: bool, cause: str
) -> None:
    server = tls(name)
    write_targets("shop.com", "other.com")
    for variable, value in [("BASE_URL", server.url), ("LOGIN", "me"), ("PASSWORD", "s3cret-passphrase")]:
        monkeypatch.setenv(f"DATAFORSEO_{variable}", value)
    if trusted:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.certificate))
    ended = commands.command("run", "--json")
    assert ended.status == 1
    assert "certificate" in ended.err
    assert cause in ended.err
    assert "Check DATAFORSEO_BASE_URL" in ended.err
    assert "Traceback" not in ended.err
    assert server.requests == []


def test_a_connection_that_breaks_in_the_handshake_is_no_verdict_on_the_certificate() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)  # all of it, or the kernel would reset the connection

        threading.Thread(target=hang_up, daemon=True).start()
        with Client(f"https://127.0.0.1:{listening.getsockname()[1]}", "me", "mine") as client:
            with pytest.raises(TransientError, match="the connection to .* failed"):
                client.send(SUMMARY, Request("shop.com", RequestParameters(), "live"))


def test_a_certificate_that_matches_is_accepted_and_no_netrc_takes_the_credentials_place(
    tls, monkeypatch, tmp_path: Path
) -> None:
    server = tls("127.0.0.1")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone-else password theirs\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.certificate))
    with Client(server.url, "me", "mine") as client, pytest.raises(RequestError, match="404"):
        client.send(SUMMARY, Request("shop.com", RequestParameters(), "live"))
    assert [request["Authorization"] for request in server.requests] == ["Basic bWU6bWluZQ=="]
