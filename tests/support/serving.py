"""`backlinks serve` in this process, over a day with incidents and a report that shows their commands."""

import html
import http.client
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import commands
from report_world import write_rows

from backlinks_assets.incidents.incident import incident_id
from backlinks_assets.paths import reports_dir
from backlinks_assets.report.templating import render
from backlinks_assets.serve.run import listening, server_of
from backlinks_assets.settings import Settings
from backlinks_assets.store.digests import incident_verdicts_in
from backlinks_assets.store.incident_verdicts import IncidentVerdict

TODAY = commands.today()


def put_incidents(settings: Settings, *targets: str, **more: object) -> list[str]:
    """Write today's incidents, one a target, the last with `more` columns, and a report of all; return their IDs."""
    ids = [incident_id(target, "lost_backlinks", "up", TODAY) for target in targets]
    rows = [
        {
            "incident": one, "target": target, "metric": "lost_backlinks", "direction": "up", "severity": "critical",
            "state": "open", "opened": TODAY, "last_flag": TODAY, "back_readings": 0, "level_readings": 0,
        }
        for one, target in zip(ids, targets, strict=True)
    ]  # fmt: skip
    rows[-1] |= more
    write_rows(settings.root, "backlinks_incidents", TODAY, rows)
    marked = "".join(
        f"<p><!--incident {one} open--><code>backlinks incidents ack {one}</code><!--/incident--></p>" for one in ids
    )
    page = render("index.html.j2", months=[], latest=None, simulated=True, sentence="No day.", chart=None)
    folder = reports_dir(settings.root)
    (folder / "targets").mkdir(parents=True)
    (folder / "index.html").write_text(page, encoding="utf-8")
    (folder / f"flags-{TODAY}.html").write_text(page.replace("<main>", f"<main>{marked}", 1), encoding="utf-8")
    return ids


def said(settings: Settings) -> list[IncidentVerdict]:
    return list(incident_verdicts_in(settings.store))


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def alert(self) -> str:
        """The sentence of a page that says why something was not done."""
        found = re.search(r'role="alert">(.*?)</p>', self.text, re.DOTALL)
        return html.unescape(found[1]) if found else ""


@dataclass
class Site:
    """A server at work."""

    settings: Settings
    port: int
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(self, method: str, path: str, body: str = "", **headers: str | None) -> Answer:
        """Send a request as it stands; a header of None is left out, `_` in a name is a dash."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.putrequest(method, path, skip_host="host" in given, skip_accept_encoding=True)
            for name, value in (self.headers | {"content-length": str(len(body))} | given).items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body.encode())
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read().decode())
        finally:
            connection.close()

    def get(self, path: str, **headers: str | None) -> Answer:
        return self.send("GET", path, **headers)

    def form(self, incident: str, path: str = "/incidents", **headers: str | None) -> dict[str, str]:
        """Return the hidden fields of an incident's form."""
        text = self.get(path, **headers).text
        form = text[text.index(f'action="/incidents/{incident}"') :]
        fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)[:3]
        return {name: html.unescape(value) for name, value in fields}

    def post(self, incident: str, fields: Mapping[str, Any], **headers: str | None) -> Answer:
        """Send a form as a browser does."""
        usual = {"origin": self.origin, "content_type": "application/x-www-form-urlencoded"}
        return self.send("POST", f"/incidents/{incident}", urlencode(fields), **(usual | headers))


@contextmanager
def serving(settings: Settings, host: str = "127.0.0.1") -> Iterator[Site]:
    """Yield a server over the settings' data folder, on a free port."""
    with listening(host, 0) as listener:
        port = listener.getsockname()[1]
        server = server_of(settings, host, port)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            commands.wait_for(lambda: server.started)
            yield Site(settings, port)
        finally:
            server.should_exit = True
            thread.join()
