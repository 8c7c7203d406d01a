"""Runs on machines that share nothing but the published place: an empty one goes on where another stopped."""

import datetime as dt
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import commands
import dagster as dg
import pytest
from looks import Automation
from summary_days import keep

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.resources import BacklinksApi
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.load import load_table
from backlinks_assets.paths import page_path
from backlinks_assets.pipeline import publish_changes
from backlinks_assets.published import publication
from backlinks_assets.published.listing import read_listing
from backlinks_assets.published.place import open_place
from backlinks_assets.published.publication import publish_tables
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import days

pytestmark = pytest.mark.slow

TODAY = utc_now().date()
DAYS = [TODAY - dt.timedelta(days=back) for back in range(30, 0, -1)]
NAMES = [f"shop{number:02d}.example" for number in range(6)]


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.ci)])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "share").mkdir()
    text = str(tmp_path / "share") if request.param == "folder" else request.getfixturevalue("bucket")
    monkeypatch.setenv("BACKLINKS_TABLES_URL", text)
    return text


@pytest.fixture
def machine(
    tmp_path: Path, api, write_targets: Callable[..., Path], monkeypatch, place: str
) -> Callable[[str], Settings]:
    """Let this process, and the commands that it starts, be a machine with a data folder of its own."""
    api()
    targets = write_targets(*NAMES)

    def become(name: str) -> Settings:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        shutil.copy(targets, folder / "targets.csv")
        monkeypatch.setenv("BACKLINKS_DATA_DIR", str(folder))
        return Settings.from_env()

    return become


def keep_history(settings: Settings) -> None:
    """Publish some weeks of answers and what is found in them."""
    for number, day in enumerate(DAYS):
        numbers = {"backlinks": 2000 + number % 3, "backlinks_spam_score": 1, "referring_main_domains": 50}
        answers = [(name, status, numbers) for name in NAMES for status in ("live", "lost")]
        keep(settings.root, day, *answers, key=BacklinksApi().parameters().key)
    list(publish_changes(settings, DAYS, {}, DetectionSettings()))
    publish_tables(settings, DAYS)


@pytest.mark.ci
def test_a_machine_with_an_empty_folder_does_the_day_and_everyone_has_it(machine, place: str) -> None:
    keep_history(machine("one"))
    two = machine("two")
    ended = commands.command("run", "--json")
    assert (ended.status, ended.summary["collected"]) == (0, len(NAMES)), ended.err
    assert days(two.root, "backlinks_summary") == [*DAYS, TODAY]
    flags = load_table("backlinks_flags", TODAY)
    changes = load_table("backlinks_changes", TODAY)
    assert changes["baseline"].notna().all()  # judged by the days that the other machine has published

    one = machine("one")  # which has not looked since
    found = commands.command("flags", "--json")
    assert (found.status, found.summary["date"], len(found.summary["flags"])) == (0, str(TODAY), len(flags)), found.err
    assert load_table("backlinks_changes", TODAY).equals(changes)
    assert not page_path(one.root, TODAY).exists()

    three = machine("three")  # empty too: it judges the published day again, and draws its page
    with dg.instance_for_test() as instance:
        defs = build_defs()
        assets = [defs.get_assets_def(name) for name in ("backlinks_flags", "flags_report")]
        done = dg.materialize(assets, instance=instance, partition_key=str(TODAY), resources=defs.resources)
        assert done.success
    assert load_table("backlinks_changes", TODAY).equals(changes)
    assert page_path(three.root, TODAY).read_bytes() == page_path(two.root, TODAY).read_bytes()
    assert commands.command("doctor", "--json").summary["checks"][9] == {
        "check": "published",
        "state": "fine",
        "status": 0,
        "says": f"{place} can be read and written; 31 days published, {DAYS[0]} to {TODAY}",
    }


@pytest.mark.ci
def test_a_day_that_another_machine_has_built_is_not_due_here(machine, instance, monkeypatch) -> None:
    machine("one")
    assert commands.command("run").status == 0
    two = machine("two")
    shutil.copy(two.data_dir.parent / "one" / "responses.sqlite", two.store_file)  # a store that both share
    assert Automation(instance).look() == []
    assert page_path(two.root, TODAY).exists()
    url = two.tables_url
    assert url is not None
    place = open_place(url)
    name = f"parquet/backlinks_summary/date={TODAY}/backlinks_summary.parquet"
    with (two.root / "targets.csv").open("rb") as other:
        place.put(name, other)  # what a machine leaves that is killed while it builds the day again
    shutil.rmtree(two.root / "parquet")
    monkeypatch.setattr(publication, "LOOK_WAITS_S", 0.0)
    assert Automation(instance).look() == [(TODAY, TODAY)]
    assert commands.command("run").status == 0
    assert place.etag(name) == read_listing(place).files[name].etag


@pytest.mark.ci
def test_an_outage_of_the_place_is_a_sentence_and_nothing_is_paid_twice(machine, tmp_path: Path, place: str) -> None:
    machine("one")
    ended = commands.command(
        "run", "--json", AWS_ENDPOINT_URL="http://127.0.0.1:1", BACKLINKS_TABLES_URL=str(tmp_path / "no")
    )
    assert ended.status == 1
    assert "which is not there. Make it, or mount the share that it is on." in ended.err
    assert "Traceback" not in ended.err
    again = commands.command("run", "--json")
    assert (again.status, again.summary["reused"], again.summary["calls"]) == (0, len(NAMES), 0), again.err
    assert os.environ["BACKLINKS_TABLES_URL"] == place
    assert len(load_table("backlinks_summary", TODAY)) == 2 * len(NAMES)
