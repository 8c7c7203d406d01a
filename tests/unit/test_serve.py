"""`backlinks serve` over real HTTP: what its forms do, what is refused and with which sentence, what is never sent."""

import datetime as dt
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from machines import Machines
from serving import TODAY, Site, put_incidents, said, serving

from backlinks_assets.paths import reports_dir
from backlinks_assets.published.publication import publish_pages, publish_tables
from backlinks_assets.serve.report_files import find_report
from backlinks_assets.settings import Settings
from backlinks_assets.tables_url import TablesUrl

pytestmark = pytest.mark.medium

PAGE = f"/flags-{TODAY}.html"
NEXT_WEEK = TODAY + dt.timedelta(days=7)


def test_what_a_form_says_is_stored_and_shown_at_once(site: Site, ids: list[str]) -> None:
    one = ids[0]
    assert "Open: nobody has taken it on." in site.get(PAGE).text
    fields = site.form(one, PAGE) | {"action": "ack", "note": "asked\n them", "by": " Ann "}
    done = site.post(one, fields)
    assert (done.status, done.headers["location"], done.text) == (303, f"{PAGE}#incident-{one}", "")
    (verdict,) = said(site.settings)
    assert (verdict.incident, verdict.action, verdict.by, verdict.note) == (one, "ack", "Ann", "asked them")
    for path in (PAGE, "/incidents"):
        shown = site.get(path).text
        assert "Acknowledged by Ann" in shown
        assert "Note: <bdi>asked them</bdi>" in shown
    assert b"Acknowledged" not in (reports_dir(site.settings.root) / PAGE[1:]).read_bytes()
    for more, state in (
        ({"action": "snooze", "until": str(NEXT_WEEK)}, "Snoozed until"),
        ({"action": "resolve", "reason": "expected"}, "Resolved as expected by web"),
        ({"action": "reopen"}, "Open again by web"),
    ):
        assert site.post(one, site.form(one, PAGE) | more).status == 303
        assert state in site.get(PAGE).text
    assert [(v.action, v.until, v.reason) for v in said(site.settings)[1:]] == [
        ("snooze", NEXT_WEEK, None), ("resolve", None, "expected"), ("reopen", None, None),
    ]  # fmt: skip


def test_of_those_resolved_on_one_day_what_a_person_said_comes_first(settings: Settings) -> None:
    said_of, by_itself = put_incidents(
        settings, "shop.example", "blog.example", state="resolved", reason="back", resolved=TODAY
    )
    with serving(settings) as site:
        fields = site.form(said_of) | {"action": "resolve", "reason": "real", "by": "Ann"}
        assert site.post(said_of, fields).status == 303
        page = site.get("/incidents")
    assert page.status == 200
    assert 0 < page.text.index("Resolved as real by Ann") < page.text.index("Resolved by itself")
    assert page.text.count(f"/incidents/{by_itself}") == 1


def test_of_two_people_the_second_is_told_who_was_quicker(site: Site, ids: list[str]) -> None:
    one = ids[0]
    seen = site.form(one)
    assert site.post(one, seen | {"action": "resolve", "reason": "real", "by": "Ann", "note": "done"}).status == 303
    late = site.post(one, seen | {"action": "ack", "by": "Ben", "note": "mine", "until": ""})
    assert late.status == 409
    assert late.alert.startswith("Meanwhile Ann said that it is resolved, on ")
    assert "with the note “done”. Nothing was written." in late.alert
    assert 'value="mine"' in late.text  # to be sent again
    assert [verdict.by for verdict in said(site.settings)] == ["Ann"]
    late = site.post(one, seen | {"action": "resolve", "reason": "real", "by": "Ben"})
    assert (late.status, late.alert.startswith("Meanwhile Ann said")) == (409, True)
    again = site.post(one, site.form(one) | {"action": "reopen", "by": "Ben"})
    assert (again.status, len(said(site.settings))) == (303, 2)


def test_a_button_that_is_pressed_twice_says_it_once(site: Site, ids: list[str]) -> None:
    fields = site.form(ids[0]) | {"action": "ack", "note": "x", "by": "Ann"}
    assert [site.post(ids[0], fields).status for _ in range(2)] == [303, 303]
    assert len(said(site.settings)) == 1


def test_an_incident_that_changed_by_itself_is_shown_anew(site: Site, ids: list[str]) -> None:
    fields = site.form(ids[0]) | {"seen": "snoozed nothing said", "action": "ack"}
    answer = site.post(ids[0], fields)
    assert answer.status == 409
    assert "Meanwhile it changed by itself. Open: nobody" in answer.alert
    assert said(site.settings) == []


BAD_FORMS: list[tuple[dict[str, Any], int, str]] = [
    ({"action": "burn"}, 400, "'burn' is nothing to do with an incident"),
    ({"action": ""}, 400, "is nothing to do"),
    ({"action": "resolve"}, 400, "Choose a reason why"),
    ({"action": "resolve", "reason": "back"}, 400, "Choose a reason why"),
    ({"action": "snooze"}, 400, "Choose the day on which"),
    ({"action": "snooze", "until": str(TODAY)}, 400, "can't be the end of a snooze. Write a day from"),
    ({"action": "snooze", "until": str(TODAY + dt.timedelta(days=91))}, 400, "can't be the end of a snooze"),
    ({"action": "snooze", "until": "soon"}, 400, "'soon' could not be read as a day"),
    ({"note": "x" * 1001}, 400, "The note has 1,001 characters, and 1,000 are the most"),
    ({"by": "x" * 101}, 400, "The name has 101 characters"),
    ({"by": "\u202e"}, 400, "has no letter that can be seen"),
    ({"note": "x" * 20_001}, 413, "more than 20,000 bytes"),
    ({"token": "x"}, 403, "The server was started again"),
    ({"token": ""}, 403, "The server was started again"),
    ({f"field{number}": "" for number in range(30)}, 400, "The form could not be read"),
    ({"note": "\ud800".encode("utf-8", "surrogatepass")}, 400, "The form could not be read"),
]


def test_a_form_that_can_t_be_used_is_a_sentence(site: Site, ids: list[str]) -> None:
    for change, status, sentence in BAD_FORMS:
        answer = site.post(ids[0], site.form(ids[0]) | {"action": "ack"} | change)
        assert (answer.status, sentence in answer.alert) == (status, True), answer.alert
        assert "Nothing was written" in answer.alert
        assert said(site.settings) == []


OF_OTHERS: list[tuple[dict[str, Any], int, str]] = [
    ({"origin": "http://evil.example"}, 403, "from another page"),
    ({"origin": "null"}, 403, "from another page"),
    ({"origin": None}, 403, "from another page"),
    ({"origin": "http://127.0.0.1:1"}, 403, "from another page"),
    ({"sec_fetch_site": "cross-site"}, 403, "from another page"),
    ({"sec_fetch_site": "same-site"}, 403, "from another page"),
    ({"origin": None, "sec_fetch_site": "none"}, 403, "from another page"),
    ({"host": "evil.example"}, 421, "goes by another name"),
    ({"host": "127.0.0.1"}, 421, "goes by another name"),
    ({"content_type": "text/plain"}, 400, "could not be read as a form"),
    ({"content_type": "multipart/form-data; boundary=x"}, 400, "could not be read as a form"),
]


def test_a_request_of_another_site_writes_nothing(site: Site, ids: list[str]) -> None:
    for headers, status, sentence in OF_OTHERS:
        answer = site.post(ids[0], site.form(ids[0]) | {"action": "ack"}, **headers)
        assert (answer.status, sentence in answer.alert) == (status, True), answer.alert
        assert said(site.settings) == []


def test_a_browser_that_says_only_that_it_is_the_same_site_is_heard(site: Site, ids: list[str]) -> None:
    fields = site.form(ids[0]) | {"action": "ack"}
    assert site.post(ids[0], fields, origin=None, sec_fetch_site="same-origin").status == 303
    assert (
        site.post(ids[1], site.form(ids[1]) | {"action": "ack"}, origin=f"http://localhost:{site.port}").status == 303
    )


def test_pages_are_not_read_by_another_name_and_nothing_else_is_done(site: Site, ids: list[str]) -> None:
    for host in ("evil.example", f"evil.example:{site.port}", f"127.0.0.1.evil.example:{site.port}", "127.0.0.1:1"):
        answer = site.get(PAGE, host=host)
        assert (answer.status, ids[0] in answer.text) == (421, False)
    assert site.get(PAGE, host=f"LOCALHOST:{site.port}").status == 200
    assert site.send("HEAD", PAGE).text == ""
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"):
        assert site.send(method, PAGE, origin=site.origin).status == 405
    assert site.send("POST", PAGE, origin=site.origin).status == 405
    assert site.get(f"/incidents/{ids[0]}").status == 404  # a verdict is never a link
    assert site.post("zzzzzzzz", site.form(ids[0]) | {"action": "ack"}).status == 404
    assert said(site.settings) == []


@pytest.mark.parametrize("path", [PAGE, "/incidents", "/none.html", "/", "/index.html"])
def test_each_answer_protects_itself(site: Site, path: str) -> None:
    headers = {name.lower(): value for name, value in site.get(path).headers.items()}
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "form-action 'self'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
    assert (headers["referrer-policy"], headers["cross-origin-resource-policy"]) == ("same-origin", "same-origin")
    assert {"set-cookie", "access-control-allow-origin", "server"}.isdisjoint(headers)


def test_only_reports_are_sent(site: Site, tmp_path: Path) -> None:
    root = site.settings.root
    folder = reports_dir(root)
    secret = tmp_path / "secret.html"
    secret.write_text("the secret", encoding="utf-8")
    (folder / "out.html").symlink_to(secret)
    (folder / "up").symlink_to(tmp_path)
    (folder / "round.html").symlink_to(folder / "round.html")
    (folder / "again.html").symlink_to(folder / "index.html")
    for name in (".hidden.html", "note.txt", "%2e%2e.html", "evidence-2026-11-24.csv"):
        (folder / name).write_text("the secret", encoding="utf-8")
    for path in (
        "/out.html", "/up/secret.html", "/round.html", "/.hidden.html", "/note.txt", "/targets", "/targets/", "/../secret.html",
        "/%2e%2e/secret.html", "/..%2fsecret.html", "/targets/..%2findex.html", "//index.html", "/index.html/", "/%00.html",
        "/..%5csecret.html", "/targets/../../responses.sqlite", "/" + "x" * 300 + ".html", "/responses.sqlite", "/%ff.html",
        "/http://evil.example/", "/%2Fetc/passwd",
    ):  # fmt: skip
        answer = site.get(path)
        assert (answer.status, "the secret" in answer.text) == (404, False), path
    assert site.get("/again.html").status == 200
    assert site.get("/%252e%252e.html").status == 200  # a name with a percent sign, as those of pages have
    table = site.get("/evidence-2026-11-24.csv")
    assert (table.headers["content-type"], table.text) == ("text/csv; charset=utf-8", "the secret")
    assert find_report(root, "index.html") is None


def test_a_form_leads_back_to_a_page_of_this_server_only(site: Site, ids: list[str]) -> None:
    for back in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "/none.html"):
        fields = site.form(ids[0]) | {"action": "reopen", "note": back, "back": back}
        answer = site.post(ids[0], fields)
        assert (answer.status, answer.headers["location"]) == (303, f"/incidents#incident-{ids[0]}")


def test_a_report_s_own_policy_lets_its_forms_be_sent_and_stays_otherwise(site: Site, ids: list[str]) -> None:
    sent = site.get(PAGE).text
    assert "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'" in sent
    assert sent.count('<a href="/incidents">Incidents</a>') == 1
    assert "backlinks incidents ack" not in sent
    put = reports_dir(site.settings.root) / "old.html"
    nav = '<nav aria-label="Reports"><!-- days --><a rel="prev"></a></nav>'
    put.write_text(f"<head></head>{nav}<!--incident zzzzzzzz open-->copy me<!--/incident-->", encoding="utf-8")
    old = site.get("/old.html").text
    assert "copy me" in old  # an incident that is no longer listed
    assert 'Incidents</a><!-- days --><a rel="prev">' in old


def test_behind_a_proxy_its_header_names_who_said_it(settings: Settings, ids: list[str]) -> None:
    behind = replace(settings, serve_user_header="X-User", reports_url="https://intranet.example:443")
    with serving(behind) as site:
        ann: dict[str, str | None] = {"x_user": "Ann Ösi".encode().decode("latin-1")}
        public = ann | {"host": "intranet.example", "origin": "https://intranet.example"}
        page = site.get("/incidents", **public)
        assert (page.status, 'name="by"' in page.text, "You are <bdi>Ann Ösi</bdi>" in page.text) == (200, False, True)
        fields = site.form(ids[0], **ann) | {"action": "ack", "by": "somebody else"}
        assert site.post(ids[0], fields).status == 403  # past the proxy
        assert site.get("/incidents").alert.startswith("The header X-User, which names who is there, is missing.")
        assert site.post(ids[0], fields, **ann, origin="https://other.example").status == 403
        assert site.post(ids[0], fields, **public).status == 303
        assert site.post(ids[1], site.form(ids[1], **ann) | {"action": "ack"}, x_user="x" * 101).status == 400
    assert [verdict.by for verdict in said(settings)] == ["Ann Ösi"]
    with serving(replace(settings, reports_url="https://intranet.example")) as site:
        assert site.get("/incidents", host="intranet.example").status == 421  # nobody says who is there


def test_hostile_text_is_text(settings: Settings) -> None:
    from report_world import HOSTILE

    ids = put_incidents(settings, *HOSTILE)
    with serving(settings) as site:
        for one, text in zip(ids, HOSTILE, strict=True):
            assert site.post(one, site.form(one) | {"action": "ack", "by": text, "note": text}).status == 303
        for path in ("/incidents", PAGE):
            shown = site.get(path).text
            assert "<img" not in shown
            assert "<script" not in shown
            assert "<iframe" not in shown
            assert "\u202e" not in shown


def test_before_any_day_is_evaluated_the_page_says_that_nothing_is_open(settings: Settings) -> None:
    with serving(settings) as site:
        assert site.get("/").headers["location"] == "/incidents"
        assert "Nothing is open." in site.get("/incidents").text
        assert not settings.store_file.exists()  # a look makes nothing


def test_what_other_machines_published_is_shown_where_the_folder_is_empty(tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    machines = Machines(tmp_path, TablesUrl(str(tmp_path / "share"), "folder"))
    one, other = machines("one"), machines("other")
    ids = put_incidents(one, "shop.example")
    with serving(other) as site:
        assert site.get("/").headers["location"] == "/incidents"
        publish_tables(one, [TODAY])
        publish_pages(one, [TODAY], lambda: None)
        assert site.get("/").headers["location"] == "/index.html"
        assert (site.get("/index.html").status, ids[0] in site.get("/incidents").text) == (200, True)
        page = site.get(PAGE).text
        assert f'action="/incidents/{ids[0]}"' in page
        shutil.rmtree(tmp_path / "share")
        answer = site.get(PAGE)
        assert (answer.status, "share" in answer.alert) == (503, True), answer.alert


def test_a_table_that_can_t_be_read_is_a_sentence(site: Site) -> None:
    (file,) = site.settings.root.glob("parquet/backlinks_incidents/*/*.parquet")
    file.write_bytes(b"broken")
    answer = site.get("/incidents")
    assert (answer.status, answer.alert.startswith(f"Could not read {file}")) == (503, True), answer.alert
    assert "Traceback" not in answer.text
