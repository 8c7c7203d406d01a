"""A team's days, played from a story: what happens and what is typed stands in it, and what came of that is written down.

Here belongs how a day is played and how it is written. The story, with all that is expected, is the test's.
"""

import contextlib
import datetime as dt
import io
import os
import re
import shlex
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer
from collecting import be_quick, point_at, run
from notify_places import Looks, Webhook
from summary_days import keep

from backlinks_assets.cli import incident_csv, incident_work
from backlinks_assets.cli.app import app
from backlinks_assets.cli.console import describe
from backlinks_assets.collect.factory import open_store, watched_targets
from backlinks_assets.collect.outcome import CollectRequest
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.defs.metadata.page import publish_page
from backlinks_assets.defs.metadata.targets_pages import publish_pages_of_targets
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.paths import group_page_path, page_path, portfolio_path, target_page_path
from backlinks_assets.pipeline import publish_answers, publish_changes
from backlinks_assets.report.index import write_index
from backlinks_assets.settings import Settings
from backlinks_assets.simulator.http.account import Account
from backlinks_assets.simulator.http.endpoints import Api
from backlinks_assets.simulator.http.reply import AdmittedCall, Reply, json_reply
from backlinks_assets.store.database import Database
from backlinks_assets.tables.duckdb_sync import sync
from backlinks_assets.tables.parquet import days, read_days

OFF = "the machine is off"
HISTORY_DAYS = 28
METRICS = {"spam": "spam_score", "lost": "lost_backlinks"}
FLAG = re.compile(
    r'<article class="flag.*?<bdi>(.*?)</bdi>.*?class="metric">(.*?)<.*?<code>([a-z2-7]{8})</code>', re.DOTALL
)
ROW = re.compile(
    r'<tr data-s="(?!quiet)\w+".*?<bdi>(.*?)</bdi>.*?<td class="state[^>]*>(?:<span.*?</span> )?(.*?)<(?!time|/time)',
    re.DOTALL,
)
LEAD = re.compile(r'<p class="lead">[^<]*?: (.*?)</p>', re.DOTALL)


class World:
    """What the vendor knows of each target: 2,000 live links and 300 lost ones, a score of 10, and what happened to them."""

    def __init__(self, targets: Sequence[str]) -> None:
        self.targets = list(targets)
        self.moved: dict[tuple[str, str], int] = {}

    def happens(self, line: str) -> None:
        """Let a target have so many links lost, or so many points more, from now on: `shop.example lost 160`."""
        target, what, size = line.split()
        assert target in self.targets
        self.moved[target, what] = int(size)

    def numbers(self, day: dt.date, target: str, status_type: str) -> dict[str, int]:
        noise = (day.toordinal() * 7 + self.targets.index(target) * 3) % 5
        spam, gone = (self.moved.get((target, what), 0) for what in ("spam", "lost"))
        links = 2000 - gone + noise if status_type == "live" else 300 + gone + noise
        score = 10 + noise % 2 + spam
        return {"backlinks": links, "backlinks_spam_score": score, "referring_main_domains": 50}


class ScriptedApi(Api):
    """The simulator's endpoints, with the numbers of a world in its summaries. It stands for the vendor's server."""

    def __init__(self, world: World) -> None:
        super().__init__(Account(), base_path="")
        self.world = world

    def paid(self, admitted: AdmittedCall, posted: Any, *, charged: bool = True) -> Reply:
        answer = orjson.loads(super().paid(admitted, posted, charged=charged).body)
        day = dt.date.fromisoformat(posted[0]["tag"].partition("|")[0])
        for result in answer["tasks"][0]["result"]:
            result.update(self.world.numbers(day, result["target"], posted[0]["backlinks_status_type"]))
        return json_reply(answer)


class Fortnight:
    """The machine of a team, at whatever time it is in the story."""

    def __init__(self, world: World, url: str, hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.hook, self.looks = world, hook, Looks()
        self.now = dt.datetime.min.replace(tzinfo=dt.UTC)
        self.table: dict[str, str] = {}
        self.page: dict[str, str] = {}
        be_quick(monkeypatch)
        point_at(monkeypatch, url)
        monkeypatch.setenv("BACKLINKS_REPORTS_URL", "https://reports.example")
        for module in (incident_work, incident_csv):
            monkeypatch.setattr(module, "utc_now", lambda: self.now)
        monkeypatch.setattr(Database, "now", lambda _: self.now)

    @property
    def settings(self) -> Settings:
        return Settings.from_env()

    def lived(self, before: dt.date) -> None:
        """Write quiet days before a day, and what detection makes of them."""
        dates = [before - dt.timedelta(days=back) for back in range(HISTORY_DAYS, 0, -1)]
        for day in dates:
            answers = [
                (target, status, self.world.numbers(day, target, status))
                for target in self.world.targets
                for status in ("live", "lost")
            ]
            keep(self.settings.root, day, *answers, key=RequestParameters().key)
        with open_store(self.settings):
            pass
        self._evaluate(dates)

    def play(self, story: str) -> str:
        """Play the days of a story, and return them as they went."""
        written: list[str] = []
        for text in re.split(r"\n+(?=\S)", story.strip("\n")):
            head, *lines = text.splitlines()
            day = dt.datetime.strptime(f"{head} 2026", "%a %d %b %Y").replace(tzinfo=dt.UTC)
            written.append("\n".join([head, *self._day(day, lines)]))
        return "\n\n".join(written) + "\n"

    def _day(self, day: dt.datetime, lines: Sequence[str]) -> Iterator[str]:
        happens = [line.strip()[2:] for line in lines if line.strip().startswith("* ")]
        typed = [found for line in lines if (found := re.fullmatch(r"  (\d\d):(\d\d) \$ (.*)", line))]
        yield from (f"  * {line}" for line in happens)
        if OFF in happens:
            return
        for line in happens:
            self.world.happens(line)
        self.now = day.replace(hour=6)
        self._collect()
        self._evaluate([day.date()])
        self.now = day.replace(hour=6, minute=40)
        yield from self._sent()
        for hour, minute, line in (found.groups() for found in typed):
            self.now = day.replace(hour=int(hour), minute=int(minute))
            yield f"  {hour}:{minute} $ {line}"
            yield from _indented(self._typed(line))
        if typed:  # as the automation does, for what was said
            self._evaluate([day.date()])
            self.now = day.replace(hour=18)
            yield from self._sent()
        yield from self._pages(day.date())
        yield from self._incidents(day.date())

    def _collect(self) -> None:
        day = self.now.date()
        asks = [CollectRequest(day, target, RequestParameters()) for target in self.world.targets]
        outcomes, stopped = run(asks, now=lambda: self.now)
        assert stopped is None
        assert not [one for one in outcomes.values() if one.error]
        with open_store(self.settings) as store:
            publish_answers(self.settings, store, day)

    def _evaluate(self, dates: Sequence[dt.date]) -> None:
        settings = self.settings
        watched = watched_targets(settings)
        labels = {one.target: (one.group, one.owner) for one in watched}
        for _ in publish_changes(settings, dates, watched.thresholds, DetectionSettings(), labels=labels):
            pass
        sync(settings.root)
        publish_page(settings, dates[-1], watched)
        write_index(settings.root)
        publish_pages_of_targets(settings, watched)

    def _sent(self) -> Iterator[str]:
        """Look as the sensor does; the same text to several places is written once."""
        assert self.looks("", self.now).problems == []
        texts: dict[tuple[str, str], list[str]] = {}
        for post in self.hook.posts:
            texts.setdefault((post["title"], post["message"]), []).append(post["path"].strip("/"))
        self.hook.posts.clear()
        for (title, body), places in texts.items():
            yield f"  {self.now:%H:%M} to {', '.join(places)}: {title}"
            yield from _indented(body.splitlines())

    def _typed(self, line: str) -> list[str]:
        """Do what a line of shell does, in this process; return what it prints."""
        words = shlex.split(line)
        at = words.index("backlinks")
        before = dict(os.environ)
        said = io.StringIO()
        os.environ.update(word.split("=", 1) for word in words[:at])
        try:
            with contextlib.redirect_stdout(said):
                typer.main.get_command(app)(words[at + 1 :], standalone_mode=False)
        except Exception as error:
            sentence, _ = describe(error)
            if sentence is None:
                raise
            said.write(f"backlinks: {sentence}\n")
        finally:
            os.environ.clear()
            os.environ.update(before)
        return said.getvalue().splitlines()

    def _pages(self, day: dt.date) -> Iterator[str]:
        root = self.settings.root
        flags = FLAG.findall(page_path(root, day).read_text(encoding="utf-8"))
        if flags:
            yield "  the day's page: " + "; ".join(", ".join(flag) for flag in flags)
        states = ROW.findall(portfolio_path(root).read_text(encoding="utf-8"))
        yield from self._if_new(
            "all targets", re.sub("</?time>", "", "; ".join(": ".join(row).strip() for row in states)) or "all quiet"
        )
        theirs = group_page_path(root, "Acme").read_text(encoding="utf-8")
        assert not re.search(r"bolt|cove|\$|spent", theirs, re.IGNORECASE)  # a client may read it
        (lead,) = LEAD.findall(theirs)
        yield from self._if_new("Acme's page", lead)
        judged = days(root, "backlinks_flags")
        flagged = read_days(root, "backlinks_flags", judged[0], judged[-1], ["date", "target"]).to_pylist()
        for target in {one["target"] for one in flagged}:
            page = target_page_path(root, target).read_text(encoding="utf-8").partition('id="flags-name"')[2]
            dates = re.findall(r'<time datetime="(.*?)"', page.partition("</section>")[0])
            assert sorted(dates) == [str(one["date"]) for one in flagged if one["target"] == target]

    def _if_new(self, page: str, says: str) -> Iterator[str]:
        if self.page.get(page) != says:
            self.page[page] = says
            yield from textwrap.wrap(f"  {page}: {says}", 126, subsequent_indent=" " * 4, break_on_hyphens=False)

    def _incidents(self, day: dt.date) -> Iterator[str]:
        """Yield the rows of the day's table that the day before had not."""
        rows = {
            one["incident"]: _row(one)
            for one in read_days(self.settings.root, "backlinks_incidents", day, day).to_pylist()
        }
        changed = [row for name, row in rows.items() if self.table.get(name) != row]
        self.table = rows
        if changed:
            yield "  incidents:"
        yield from _indented(changed)

    def usual(self, target: str, what: str) -> dict[str, tuple[int, int]]:
        """Return a metric of a target and its baseline, by day."""
        root = self.settings.root
        judged = days(root, "backlinks_changes")[HISTORY_DAYS:]
        rows = read_days(root, "backlinks_changes", judged[0], judged[-1]).to_pylist()
        wanted = [one for one in rows if (one["target"], one["metric"]) == (target, METRICS[what])]
        return {f"{one['date']:%a} {one['date'].day}": (int(one["value"]), int(one["baseline"])) for one in wanted}

    def incidents_of(self, root: Path) -> list[dict[str, Any]]:
        """Return the incidents' tables of all days below a folder."""
        known = days(root, "backlinks_incidents")
        return read_days(root, "backlinks_incidents", known[0], known[-1]).to_pylist()

    def elsewhere(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        """Evaluate all days on another machine, which has the answers' tables and its own store; return its incidents."""
        ours = self.settings
        shutil.copy(ours.targets_file, folder / "targets.csv")
        for table in ("backlinks_summary", "api_costs", "referring_links"):
            shutil.copytree(ours.root / "parquet" / table, folder / "parquet" / table)
        monkeypatch.setenv("BACKLINKS_DATA_DIR", str(folder))
        self._evaluate(days(folder, "backlinks_summary"))
        return self.incidents_of(folder)


def _indented(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield from textwrap.wrap(
            line, 124, initial_indent=" " * 6, subsequent_indent=" " * 8, break_long_words=False, break_on_hyphens=False
        )


def _row(one: dict[str, Any]) -> str:
    what = f"{one['metric'].replace('_', ' ')} {one['direction']}"
    state = one["state"] + (f" ({one['reason']})" if one["reason"] else "")
    state += f" until {one['snoozed_until']}" if one["snoozed_until"] else ""
    said = f"; {one['by']}: {one['note']}" if one["by"] else ""
    return f"{one['incident']} {one['target']}, {what}: {one['severity']}, {state}{said}"
