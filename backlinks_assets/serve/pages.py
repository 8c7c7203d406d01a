"""The server's own pages, and the forms that it puts into the reports: what the templates are given.

The layout is `templates/`, over those of the reports.
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import HTMLResponse, Response

from backlinks_assets.incidents.incident import REASONS
from backlinks_assets.incidents.saying import MAX_BY_CHARACTERS, MAX_NOTE_CHARACTERS, snooze_days
from backlinks_assets.paths import page_name, target_page_name
from backlinks_assets.report.cards import anchor
from backlinks_assets.report.templating import SNOOZE_DAYS, render
from backlinks_assets.serve.posted import NOTHING, Posted
from backlinks_assets.serve.report_files import find_report
from backlinks_assets.serve.standing import Standing

TEMPLATES: Final = Path(__file__).parent / "templates"
INCIDENTS: Final = "/incidents"
MAX_OPEN, MAX_RESOLVED, MAX_FORMS = 200, 20, 300
"""Incidents on the page of them, and forms in a report: with more of them a page would grow past a megabyte."""

_MARKED: Final = re.compile(
    rb"<!--incident ([a-z0-9]{1,16}) (?:open|acknowledged|snoozed|resolved)-->.*?<!--/incident-->", re.DOTALL
)
"""Where a report shows an incident's command. What comes from outside is escaped, so that none of it looks like this."""
_NAVIGATION: Final = re.compile(rb'(<nav aria-label="Reports">.*?)(<!-- days -->|</nav>)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Forms:
    """What the forms of one page have in common. `user` is whom the proxy names; `typed` is what was sent and not taken."""

    token: str
    back: str
    today: dt.date
    user: str | None = None
    typed: Posted = NOTHING

    def of(self, one: Standing, *, is_first: bool = True, in_report: bool = False) -> str:
        """Return an incident's state and form, as HTML; the first of an incident in its page has its address."""
        return render("form.html.j2", TEMPLATES, **self._content, one=one, is_first=is_first, in_report=in_report)

    @property
    def _content(self) -> dict[str, Any]:
        first, last = snooze_days(self.today)
        return {
            "forms": self,
            "first": first,
            "last": last,
            "usual": self.today + dt.timedelta(days=SNOOZE_DAYS),
            "reasons": REASONS,
            "max_note": MAX_NOTE_CHARACTERS,
            "max_by": MAX_BY_CHARACTERS,
        }


def with_forms(page: bytes, found: Mapping[str, Standing], forms: Forms) -> bytes:
    """Return a report with a form in the place of each incident's command, and with a link to the page of incidents."""
    done: set[str] = set()
    count = 0

    def form(match: re.Match[bytes]) -> bytes:
        nonlocal count
        one = found.get(match[1].decode())
        if one is None or count >= MAX_FORMS:
            return match[0]
        count += 1
        text = forms.of(one, is_first=one.id not in done, in_report=True)
        done.add(one.id)
        return text.encode()

    page = _MARKED.sub(form, page)
    # That of the policy in its head, before any text from outside.
    page = page.replace(b"form-action 'none'", b"form-action 'self'", 1)
    page = page.replace(b"</head>", f"<style>\n{_style()}</style>\n</head>".encode(), 1)
    return _NAVIGATION.sub(rb'\1<a href="/incidents">Incidents</a>\2', page, count=1)


def is_marked(page: bytes) -> bool:
    """Whether a report shows an incident's command."""
    return _MARKED.search(page) is not None


def incidents_page(root: Path, found: Sequence[Standing], forms: Forms, *, simulated: bool) -> Response:
    """Return the page of all incidents that are not resolved, worst first, and of those resolved last."""
    going_on = [one for one in found if not one.row.of.is_resolved]
    resolved = sorted(
        (one for one in found if one.row.of.is_resolved),
        key=lambda one: (one.row.of.resolved or dt.date.min, one.last.said_at.isoformat() if one.last else ""),
        reverse=True,
    )
    html = render(
        "incidents.html.j2",
        TEMPLATES,
        forms=forms,
        going_on=going_on[:MAX_OPEN],
        more=max(0, len(going_on) - MAX_OPEN),
        count=len(going_on),
        nobody=sum(one.row.of.state == "open" for one in going_on),
        resolved=resolved[:MAX_RESOLVED],
        links={one.id: _links(root, one) for one in [*going_on[:MAX_OPEN], *resolved[:MAX_RESOLVED]]},
        simulated=simulated,
        style=_style(),
    )
    return HTMLResponse(_as_form_page(html))


def _links(root: Path, one: Standing) -> tuple[str, str]:
    """Return the addresses of the target's page, and of the last flag on its day's page; each empty where there is none."""
    name, day = target_page_name(one.row.of.target), page_name(one.row.of.last_flag)
    target = f"/targets/{quote(name)}" if find_report(root, f"/targets/{name}") else ""
    flag = f"/{day}#{anchor(one.row.of.target, one.row.of.metric)}" if find_report(root, f"/{day}") else ""
    return target, flag


def message_page(
    status: int,
    title: str,
    sentence: str,
    back: str = INCIDENTS,
    one: Standing | None = None,
    forms: Forms | None = None,
) -> Response:
    """Return a page that says why something was not done; with an incident, its form too."""
    html = render(
        "message.html.j2",
        TEMPLATES,
        title=title,
        sentence=sentence,
        back=quote(back),
        one=one,
        forms=forms,
        style=_style(),
    )
    headers = {"Allow": "GET, HEAD, POST"} if status == 405 else None
    return HTMLResponse(_as_form_page(html), status, headers)


def _as_form_page(html: str) -> str:
    return html.replace("form-action 'none'", "form-action 'self'", 1)


@cache
def _style() -> str:
    return (TEMPLATES / "forms.css").read_text(encoding="utf-8")
