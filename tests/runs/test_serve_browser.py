"""`backlinks serve` in a real browser: buttons work, and what another site's page could try does not."""

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from chromium import CONTRASTS, UNHANDY, chromium, needs_chromium
from report_world import HOSTILE
from serving import TODAY, Site, put_incidents, said, serving

from backlinks_assets.settings import Settings

PAGE = f"/flags-{TODAY}.html"

pytestmark = [
    needs_chromium,
    pytest.mark.slow,
]


BEYOND = """() => [...document.querySelectorAll(".desk input:not([type=hidden]), .desk select, .desk button")].filter(
  one => one.getBoundingClientRect().right > one.closest("form").getBoundingClientRect().right + 0.5
).map(one => one.name)"""


@pytest.fixture
def browser() -> Iterator[Any]:
    with chromium("--host-resolver-rules=MAP evil.example 127.0.0.1") as opened:
        yield opened


@contextmanager
def another_site(body: str) -> Iterator[str]:
    """Yield the address of another site's page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_buttons_work_on_a_report_and_on_the_page_of_incidents(browser: Any, site: Site, ids: list[str]) -> None:
    page = browser.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.goto(f"{site.origin}{PAGE}")
    of_one = page.locator(f"#incident-{ids[0]}")
    of_one.get_by_label("Note").fill("asked them")
    of_one.get_by_label("Your name").fill("Ann")
    of_one.get_by_role("button", name="Acknowledge").click()
    page.wait_for_url(f"**{PAGE}#incident-{ids[0]}")
    of_one.get_by_text("Acknowledged by Ann").wait_for()
    page.reload()
    assert len(said(site.settings)) == 1
    page.get_by_role("link", name="Incidents", exact=True).click()
    page.wait_for_url("**/incidents")
    until = TODAY + dt.timedelta(days=14)
    of_one.get_by_label("until").fill(str(until))
    of_one.get_by_role("button", name="Snooze").click()
    of_one.get_by_text("Snoozed until").wait_for()
    of_one.get_by_role("button", name="Resolve").click()
    page.get_by_role("alert").get_by_text("Choose a reason why").wait_for()
    of_one.get_by_label("as").select_option("expected")
    of_one.get_by_role("button", name="Resolve").click()
    page.wait_for_url(f"**/incidents#incident-{ids[0]}")
    of_one.get_by_text("Resolved as expected").wait_for()
    of_one.get_by_role("button", name="Reopen").click()
    of_one.get_by_text("Open again").wait_for()
    assert [verdict.action for verdict in said(site.settings)] == ["ack", "snooze", "resolve", "reopen"]
    assert said(site.settings)[1].until == until
    assert page.context.cookies() == []
    assert [error for error in errors if "favicon" not in error and "400" not in error] == []


@pytest.mark.ci
def test_a_page_of_another_site_can_neither_send_a_form_nor_show_one(browser: Any, site: Site, ids: list[str]) -> None:
    fields = site.form(ids[0]) | {"action": "ack"}  # even with a token that was seen somewhere
    inputs = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in fields.items())
    form = f'<form method="post" action="{site.origin}/incidents/{ids[0]}">{inputs}<button>Win</button></form>'
    frame = f'<iframe src="{site.origin}/incidents"></iframe><iframe src="{site.origin}{PAGE}"></iframe>'
    with another_site(form + frame) as address:
        page = browser.new_page()
        page.goto(address)
        for one in page.frames[1:]:
            one.wait_for_url("chrome-error:**")
            assert one.locator("button").count() == 0
        page.get_by_role("button", name="Win").click()
        page.wait_for_url(f"{site.origin}/**")
        assert "from another page" in page.get_by_role("alert").inner_text()
        read = "fetch(address).then(answer => answer.text()).catch(error => 'refused')"
        page.goto(address)
        assert page.evaluate(f"address => {read}", f"{site.origin}/incidents") == "refused"
        page.close()
    assert said(site.settings) == []


@pytest.mark.ci
def test_another_name_that_leads_here_shows_nothing(browser: Any, site: Site, ids: list[str]) -> None:
    page = browser.new_page()
    answer = page.goto(f"http://evil.example:{site.port}/incidents")
    assert answer.status == 421
    assert page.locator("form").count() == 0
    assert ids[0] not in page.content()


@pytest.mark.ci
def test_foreign_text_makes_no_element_and_runs_nothing(browser: Any, settings: Settings) -> None:
    ids = put_incidents(settings, *HOSTILE)
    with serving(settings) as site:
        for one, text in zip(ids, HOSTILE, strict=True):
            site.post(one, site.form(one) | {"action": "ack", "by": text, "note": text})
        page = browser.new_page(bypass_csp=True)  # what is escaped needs no policy
        ran: list[str] = []
        page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: ran.append(str(error)))
        for path in ("/incidents", PAGE):
            page.goto(f"{site.origin}{path}")
            assert page.locator("img, iframe, script, object, link").count() == 0
            assert page.locator(".desk").count() == len(HOSTILE)
            assert page.locator(".desk form").count() == len(HOSTILE)
        page.locator(f"#incident-{ids[1]}").get_by_label("Note").fill(HOSTILE[0])
        page.locator(f"#incident-{ids[1]}").get_by_role("button", name="Snooze").click()
        page.wait_for_url(f"**{PAGE}#incident-{ids[1]}")
        assert HOSTILE[0] in page.locator(f"#incident-{ids[1]}").inner_text()
        assert ran == []


@pytest.mark.ci
def test_the_page_of_incidents_is_read_at_every_width_in_light_and_dark(browser: Any, settings: Settings) -> None:
    ids = put_incidents(settings, "shop.example", f"https://{'long-' * 20}name.example/{'x' * 90}", "blog.example")
    with serving(settings) as site:
        for action in ({"action": "ack", "by": "A" * 100, "note": "x" * 300}, {"action": "resolve", "reason": "real"}):
            site.post(ids[1], site.form(ids[1]) | action)
        for width, scheme in ((360, "light"), (768, "dark"), (1440, "light")):
            page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
            for path in ("/incidents", PAGE, "/none.html"):
                page.goto(f"{site.origin}{path}")
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
                assert page.evaluate(BEYOND) == [], path
                assert page.evaluate(UNHANDY) == [], path
                assert [pair for pair in page.evaluate(CONTRASTS) if pair[0] < 4.5] == []
            page.close()
