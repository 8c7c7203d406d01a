"""`backlinks doctor` against accounts that are not well: each cause is named, nothing is spent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from simulated_api import SimulatedApi

from backlinks_assets.cli.doctor import account as account_checks
from backlinks_assets.cli.doctor.finding import Finding, tried
from backlinks_assets.settings import Settings


@contextmanager
def account(user_data: dict[str, object], index: dict[str, object] | None, status: int = 200) -> Iterator[str]:
    """Serve the two free pages of an account; `index` None: the server does not have that page."""

    class Account(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = user_data if self.path.endswith("user_data") else index
            data = json.dumps(body or {"status_code": 40402, "tasks": None}).encode()
            self.send_response(status if body else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Account)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def answer(result: object, code: int = 20000, message: str = "Ok.") -> dict[str, object]:
    return {
        "status_code": 20000,
        "tasks": [{"status_code": code, "status_message": message, "cost": 0, "result": [result]}],
    }


def look(monkeypatch: pytest.MonkeyPatch, url: str) -> Finding:
    for name, value in (("BASE_URL", url), ("LOGIN", "someone@example.com"), ("PASSWORD", "s3cret-passphrase")):
        monkeypatch.setenv(f"DATAFORSEO_{name}", value)
    return tried(account_checks.account, Settings.from_env())


GOOD = answer({"money": {"balance": 12.5}})


@pytest.mark.parametrize(
    ("user_data", "index", "status", "words"),
    [
        (answer(None, 40100, "Not authorized"), None, 401, "DATAFORSEO_PASSWORD"),
        (GOOD, {"status_code": 40104, "status_message": "Please verify", "tasks": None}, 0, "Verify it"),
        (GOOD, answer(None, 40207, "IP not whitelisted"), 0, "not on the account's list"),
        (answer({"money": {"balance": -0.050788}}), GOOD, 0, "top it up"),
        (answer({"money": {"balance": 0.01}}), GOOD, 0, "does not cover a day"),
    ],
    ids=["login", "unverified", "ip-list", "empty", "too-little"],
)
def test_what_is_wrong_with_an_account_is_named(monkeypatch, write_targets, user_data, index, status, words) -> None:
    write_targets("shop.example")
    with account(user_data, index, status or 200) as url:
        found = look(monkeypatch, url)
    assert found.status == 1
    assert words in found.says
    assert "s3cret-passphrase" not in found.says


def test_a_server_without_the_index_page_says_nothing_against_the_account(monkeypatch, write_targets) -> None:
    write_targets("shop.example")
    with account(GOOD, None) as url:
        assert look(monkeypatch, url).status == 0


def test_the_first_days_cost_is_told_before_anything_is_spent(monkeypatch, write_targets) -> None:
    write_targets(*[f"shop{number}.example" for number in range(10)])
    with SimulatedApi(as_real=True, price_usd=0.03) as server:
        found = look(monkeypatch, server.url)
        assert server.spent_usd == 0
    assert "20 calls $0.60" in found.says
