"""The web application: the reports with forms in them, the page of incidents, and what a form does.

Who may ask is `rules.py`; how a verdict is checked and stored is the command's own way, `incidents/saying.py` and
`current_incidents.py`.
"""

import datetime as dt
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.current_incidents import OvertakenError, current_incidents, last_said, say_if_last
from backlinks_assets.errors import BacklinksError
from backlinks_assets.folder import next_step
from backlinks_assets.formatting import shown
from backlinks_assets.incidents.saying import VerdictError, verdict
from backlinks_assets.paths import index_path
from backlinks_assets.published.publication import INDEX, PAGES, bring
from backlinks_assets.serve.guard import REPORT, Guard
from backlinks_assets.serve.pages import INCIDENTS, Forms, incidents_page, is_marked, message_page, with_forms
from backlinks_assets.serve.posted import NOTHING, Posted, read_posted
from backlinks_assets.serve.report_files import KINDS, find_report
from backlinks_assets.serve.rules import RefusedError, Rules
from backlinks_assets.serve.standing import Standing, overtaken
from backlinks_assets.settings import Settings
from backlinks_assets.store.incident_verdicts import IncidentVerdict

NOBODY = "web"
"""Who said it, where nobody is named."""


def application(settings: Settings, rules: Rules) -> ASGIApp:
    """Return the application over one data folder, within the rules."""
    desk = _Desk(settings, rules)
    routes = [
        Route("/", desk.start),
        Route(INCIDENTS, desk.incidents),
        Route(f"{INCIDENTS}/{{incident}}", desk.act, methods=["POST"]),
        Route("/{path:path}", desk.report),
    ]
    handlers = {
        BacklinksError: _unavailable,
        OSError: _unreadable,
        RefusedError: _refused,
        HTTPException: _none_there,
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers), rules)


class _Desk:
    """What each address answers. What waits for files and the store does it in a thread."""

    def __init__(self, settings: Settings, rules: Rules) -> None:
        self._settings, self._rules = settings, rules

    def start(self, _request: Request) -> Response:
        bring(self._settings, lambda name: name == INDEX)
        there = index_path(self._settings.root).exists()
        return RedirectResponse("/index.html" if there else INCIDENTS, 303)

    def incidents(self, request: Request) -> Response:
        forms = self._forms(request, INCIDENTS)
        return incidents_page(self._settings.root, self._standing(), forms, simulated=self._settings.simulated)

    def report(self, request: Request) -> Response:
        """Return a report as it is now: its own text, with each incident's state and form."""
        path = f"/{request.path_params['path']}"
        bring(self._settings, lambda name: name.startswith(PAGES))
        file = find_report(self._settings.root, path)
        if file is None:
            raise HTTPException(404)
        content = file.read_bytes()
        if file.suffix == ".html":
            found = {one.id: one for one in self._standing()} if is_marked(content) else {}
            content = with_forms(content, found, self._forms(request, path))
        return Response(content, headers={"Content-Type": KINDS[file.suffix], "Content-Security-Policy": REPORT})

    async def act(self, request: Request) -> Response:
        """Store what a form says, and lead back to its page, so that a page that is loaded again says nothing twice."""
        posted = await read_posted(request)
        return await run_in_threadpool(self._act, request, posted)

    def _act(self, request: Request, posted: Posted) -> Response:
        self._rules.check_token(posted.token)
        back = self._back(posted.back)
        incident = str(request.path_params["incident"])
        one = self._the(incident)
        if one is None:
            raise RefusedError(
                404, f"{shown(incident)} is no incident of the last 90 days. Nothing was written: load the page again."
            )
        forms = self._forms(request, back, posted)
        about, last, end = one.row.of, one.last, posted.end

        def said(at: dt.datetime) -> IncidentVerdict:
            by = forms.user or posted.by.strip() or NOBODY
            return verdict(about, posted.action, at, by, reason=posted.reason, until=end, note=posted.note)

        is_as_seen = posted.seen == one.seen
        try:
            said(utc_now())
            if is_as_seen:
                say_if_last(self._settings, said, last)
            elif last is None or last != said(last.said_at):  # else a button was pressed twice
                return self._overtaken(one, posted, forms)
        except OvertakenError:
            return self._overtaken(self._the(incident) or one, posted, forms)
        except VerdictError as error:
            if not is_as_seen:
                return self._overtaken(one, posted, forms)
            return message_page(400, "This could not be used", f"{error} Nothing was written.", back, one, forms)
        return RedirectResponse(f"{quote(back)}#incident-{one.id}", 303)

    def _overtaken(self, one: Standing, posted: Posted, forms: Forms) -> Response:
        sentence = (
            f"{overtaken(one, posted.seen)} Nothing was written. See how it is now, and press again if it still fits."
        )
        return message_page(409, "Somebody was quicker", sentence, forms.back, one, forms)

    def _back(self, path: str) -> str:
        """Return the path of a page of this server; that of the incidents for any other."""
        return path if find_report(self._settings.root, path) else INCIDENTS

    def _forms(self, request: Request, back: str, typed: Posted = NOTHING) -> Forms:
        return Forms(self._rules.token, back, utc_now().date(), self._rules.user(request), typed)

    def _standing(self) -> list[Standing]:
        rows, last = current_incidents(self._settings), last_said(self._settings)
        return [Standing(row, last.get(row.of.incident)) for row in rows]

    def _the(self, incident: str) -> Standing | None:
        return next((one for one in self._standing() if one.id == incident), None)


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return message_page(error.status, "This could not be used", str(error))


def _none_there(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return message_page(405, "Nothing to do here", "Pages are read here, and the forms on them are sent.")
    return message_page(404, "No such page", "There is no such report. The list of days has a link to each.")


def _unavailable(_request: Request, error: Exception) -> Response:
    """Say what the command would say: a table, the store or the place of publication can't be used now."""
    return message_page(503, "This can't be shown now", str(error))


def _unreadable(_request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    sentence = f"{error.strerror or error} ({error.filename or 'no file named'}). {next_step(error.errno)}"
    return message_page(503, "This can't be shown now", sentence)
