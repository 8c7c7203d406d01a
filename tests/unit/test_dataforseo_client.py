"""One call over real HTTP: what is sent, what is read, and how what goes wrong is named."""

import base64
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import faults
import pytest
from faults import Fault

from backlinks_assets.dataforseo.answer import parse_answer
from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoint import Request
from backlinks_assets.dataforseo.endpoints.summary import SUMMARY, ParameterOverrides, RequestParameters
from backlinks_assets.dataforseo.endpoints.user_data import USER_DATA
from backlinks_assets.dataforseo.errors import AccountError, ApiError, RequestError, TargetError, TransientError
from backlinks_assets.dataforseo.status_codes import error_of
from backlinks_assets.dataforseo.tag import request_tag
from backlinks_assets.simulator.world.samples import vendor_sample

PASSWORD = "s3cret-passphrase"


def client_of(url: str, **timeouts: float) -> Client:
    return Client(url, "someone@example.com", PASSWORD, **timeouts)


def request_of(target: str = "velotrail.example", status_type: str = "live", **parameters: object) -> Request:
    return Request(target, RequestParameters(**parameters), status_type)


def test_every_parameter_reaches_the_server_and_comes_back_in_the_echo(api) -> None:
    server = api()
    parameters = {
        "include_subdomains": False,
        "include_indirect_links": False,
        "exclude_internal_backlinks": False,
        "internal_list_limit": 7,
        "rank_scale": "one_hundred",
        "backlinks_filters": ["dofollow", "=", True],
    }
    request = Request("velotrail.example", RequestParameters(**parameters), "lost", "2026-11-24|x|lost")
    answer = client_of(server.url).send(SUMMARY, request)
    sent = {**parameters, "target": "velotrail.example", "backlinks_status_type": "lost", "tag": "2026-11-24|x|lost"}
    assert json.loads(answer.body)["tasks"][0]["data"].items() >= sent.items()
    assert server.calls[0].parameters == sent


def test_the_vendors_own_sample_is_read_field_by_field(api) -> None:
    parameters = RequestParameters(internal_list_limit=10, backlinks_filters=["dofollow", "=", True])
    request = Request("explodingtopics.com", parameters, "all")
    answer = client_of(api().url).send(SUMMARY, request)
    assert json.loads(answer.body) == vendor_sample()
    assert answer.result == vendor_sample()["tasks"][0]["result"][0]
    assert (answer.cost_usd, answer.task_id) == (0.02003, "09291809-1535-0265-0000-8d49256fe2ad")


@pytest.mark.parametrize("target", ["empty.example", "empty-list.example", "empty-null.example"])
def test_an_empty_answer_is_an_answer_and_has_its_cost(api, target: str) -> None:
    answer = client_of(api().url).send(SUMMARY, request_of(target))
    assert answer.result is None
    assert answer.cost_usd == 0.024036


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.code(40000), RequestError),
        (faults.code(40006), RequestError),
        (faults.code(40100), AccountError),
        (faults.code(40101), TransientError),
        (faults.code(40103), TransientError),
        (faults.code(40106), TransientError),
        (faults.tasks_null(40104), AccountError),
        (faults.code(40200), AccountError),
        (faults.code(40201), AccountError),
        (faults.code(40202), TransientError),
        (faults.code(40203), AccountError),
        (faults.code(40204), AccountError),
        (faults.code(40205), TargetError),
        (faults.code(40206), TargetError),
        (faults.code(40207), AccountError),
        (faults.code(40208), AccountError),
        (faults.code(40209), TransientError),
        (faults.code(40210), AccountError),
        (faults.code(40400), RequestError),
        (faults.code(40402), RequestError),
        (faults.code(40404), RequestError),
        (faults.code(40501, "Invalid Field: 'target'."), TargetError),
        (faults.code(40501, "Invalid Field: 'internal_list_limit'."), RequestError),
        (faults.code(40502), RequestError),
        (faults.code(40503), RequestError),
        (faults.code(40506), RequestError),
        (faults.code(50000), TransientError),
        (faults.code(50001), TransientError),
        (faults.code(50100), RequestError),
        (faults.code(50301), TransientError),
        (faults.code(50303), TransientError),
        (faults.code(50304), TransientError),
        (faults.code(50401), TransientError),
        (faults.code(40150), AccountError),  # a code that is in no list, by its block
        (faults.code(40250), AccountError),
        (faults.code(40599), RequestError),
        (faults.code(59999), TransientError),
        (faults.code(50000, level="envelope"), TransientError),
        (faults.http(429, retry_after=7), TransientError),
        (faults.http(500), TransientError),
        (faults.http(503), TransientError),
        (faults.http_402(), AccountError),
        (faults.html(), TransientError),
        (faults.not_json(), TransientError),
        (faults.reset(), TransientError),
        (faults.half(), TransientError),
        (faults.wrong_target(), TargetError),
        (faults.redirect("http://127.0.0.1:9/elsewhere"), RequestError),
    ],
    ids=lambda value: f"{value.kind}-{value.number:g}-{value.text}" if hasattr(value, "number") else value.__name__,
)
def test_what_goes_wrong_is_named_by_what_a_rerun_can_do(api, fault, kind: type[ApiError]) -> None:
    with pytest.raises(ApiError) as raised:
        client_of(api(Fault(fault)).url).send(SUMMARY, request_of())
    assert type(raised.value) is kind, raised.value
    assert PASSWORD not in str(raised.value)


def test_no_search_results_is_empty_under_either_code() -> None:
    for code in (40102, 40501):
        body = {
            "status_code": 20000,
            "tasks": [{"status_code": code, "status_message": "No Search Results.", "cost": 0.02}],
        }
        answer = parse_answer(json.dumps(body).encode(), 200)
        assert error_of(answer) is None
        assert (answer.result, answer.cost_usd) == (None, 0.02)


def test_a_refusal_says_what_it_cost(api) -> None:
    with pytest.raises(TargetError) as refused:
        client_of(api(Fault(faults.wrong_target())).url).send(SUMMARY, request_of())
    assert refused.value.answer is not None
    assert refused.value.answer.cost_usd == 0.024036


def test_retry_after_is_read(api) -> None:
    with pytest.raises(TransientError) as refused:
        client_of(api(Fault(faults.http(503, retry_after=7))).url).send(SUMMARY, request_of())
    assert refused.value.retry_after_s == 7


def test_wrong_credentials_are_the_accounts_matter(api) -> None:
    server = api(credentials=("someone@example.com", "another"))
    with pytest.raises(AccountError, match="DATAFORSEO_PASSWORD"):
        client_of(server.url).send(SUMMARY, request_of())


def test_silence_ends_in_a_time_out_and_the_server_may_still_be_at_it(api) -> None:
    server = api(Fault(faults.silence(600)))  # ends with the server
    with pytest.raises(TransientError, match="no answer within 0.3 s") as given_up:
        client_of(server.url, read_timeout_s=0.3, total_timeout_s=300).send(SUMMARY, request_of())
    assert given_up.value.may_go_on


def test_an_answer_that_trickles_in_is_given_up_after_the_total_time(api) -> None:
    server = api(Fault(faults.trickle(20)))
    with pytest.raises(TransientError, match="not complete") as given_up:
        client_of(server.url, read_timeout_s=30, total_timeout_s=0.5).send(SUMMARY, request_of())
    assert given_up.value.may_go_on


def test_ten_megabytes_of_answer_are_read(api) -> None:
    answer = client_of(api(Fault(faults.big(10))).url).send(SUMMARY, request_of())
    assert len(answer.body) > 10_000_000
    assert answer.result is not None


def test_a_host_that_nobody_listens_on_is_transient() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]  # taken, so that nobody else comes to listen there
        with pytest.raises(TransientError, match="failed"):
            client_of(f"http://127.0.0.1:{port}").send(SUMMARY, request_of())


def test_credentials_do_not_follow_a_redirect(api) -> None:
    seen: list[str | None] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers.get("Authorization"))
            self.send_response(200)
            self.end_headers()

        do_GET = do_POST

    other = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    try:
        server = api(Fault(faults.redirect(f"http://127.0.0.1:{other.server_address[1]}/v3")))
        with pytest.raises(RequestError, match="redirect"):
            client_of(server.url).send(SUMMARY, request_of())
    finally:
        other.shutdown()
        other.server_close()
    assert seen == []


def test_a_password_beyond_ascii_is_sent_as_utf8(api) -> None:
    server = api(credentials=("jürgen", "pässwörd☃"))
    assert Client(server.url, "jürgen", "pässwörd☃").send(SUMMARY, request_of()).result is not None
    assert "pässwörd" not in repr(Client(server.url, "jürgen", "pässwörd☃"))


def test_the_accounts_data_is_free(api) -> None:
    server = api()
    data = client_of(server.url).send(USER_DATA, None)
    assert data["money"]["balance"] > 0
    assert server.spent_usd == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"internal_list_limit": 0},
        {"internal_list_limit": 1001},
        {"rank_scale": "ten"},
        {"include_subdomains": "maybe"},
        {"backlinks_filters": ["dofollow", "equals", True]},
        {"backlinks_filters": [["a", "=", 1], "and"] * 9},
        {"backlinks_filters": ["a", ["b"], 1]},
        {"backlinks_filters": [[[[[[[[[[["a", "=", 1]]]]]]]]]]]},
        {"backlinks_filters": [["a", "=", 1], "xor", ["b", "=", 2]]},
        {"backlinks_filters": []},
        {"order_by": ["rank"]},
    ],
    ids=str,
)
def test_parameters_that_the_api_would_refuse_are_refused_before_anything_is_sent(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RequestParameters(**wrong)


def test_a_targets_own_parameters_come_before_the_projects() -> None:
    own = RequestParameters().with_overrides(ParameterOverrides(internal_list_limit=5))
    assert (own.internal_list_limit, own.include_subdomains) == (5, True)
    assert own.key != RequestParameters().key
    assert RequestParameters().with_overrides(ParameterOverrides()).key == RequestParameters().key


def test_a_tag_keeps_to_255_characters_and_different_pages_keep_different_tags() -> None:
    import datetime as dt

    day = dt.date(2026, 11, 24)
    long = ["https://example.com/" + "a" * 400 + end for end in "xy"]
    tags = [request_tag(day, target, "live") for target in long]
    assert [len(tag) for tag in tags] == [255, 255]
    assert tags[0] != tags[1]
    assert request_tag(day, "example.com", "lost") == "2026-11-24|example.com|lost"


def test_the_authorization_is_basic(api) -> None:
    server = api(credentials=("someone@example.com", PASSWORD))
    client_of(server.url).send(SUMMARY, request_of())
    sent = base64.b64decode(client_of(server.url)._authorization.split()[1]).decode()
    assert sent == f"someone@example.com:{PASSWORD}"
