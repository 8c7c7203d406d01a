"""What machines publish and fetch: everyone has everyone's days, whole, whoever publishes when."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import orjson
import pytest
from machines import Machines, Watched, built, days_of, done, memory
from table_days import after, keep_summary

from backlinks_assets.load import load_table
from backlinks_assets.paths import group_page_path, page_path, parquet_path, target_page_path
from backlinks_assets.published import local_copy, place as places
from backlinks_assets.published.listing import LIST, day_of
from backlinks_assets.published.publication import (
    bring,
    bring_duckdb,
    bring_recent,
    publish_pages,
    publish_tables,
)
from backlinks_assets.settings import Settings
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.duckdb_sync import sync
from backlinks_assets.tables_url import TablesUrl

KINDS = ["folder", "memory", pytest.param("bucket", marks=[pytest.mark.slow, pytest.mark.ci])]
DAYS = [after(number) for number in range(4)]


@pytest.fixture(params=KINDS)
def machines(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machines:
    if request.param == "memory":
        return Machines(tmp_path, memory(monkeypatch))
    if request.param == "folder":
        (tmp_path / "share").mkdir()
        return Machines(tmp_path, TablesUrl(str(tmp_path / "share"), "folder"))
    text = request.getfixturevalue("bucket") + "/a/prefix"
    url = Settings.from_env({**os.environ, "BACKLINKS_TABLES_URL": text}).tables_url
    assert url is not None
    return Machines(tmp_path, TablesUrl(url.base, url.scheme, options=url.options))


@pytest.fixture
def in_a_folder(tmp_path: Path) -> Machines:
    (tmp_path / "share").mkdir()
    return Machines(tmp_path, TablesUrl(str(tmp_path / "share"), "folder"))


def bytes_of(settings: Settings) -> dict[str, bytes]:
    files = (path for path in settings.root.glob("parquet/*/date=*/*.parquet"))
    return {path.relative_to(settings.root).as_posix(): path.read_bytes() for path in files}


def test_an_empty_machine_has_the_same_files_and_its_duckdb_file_needs_no_work(machines: Machines) -> None:
    one, other = machines("one"), machines("other")
    for number in range(3):
        done(one, number)
    bring(other)
    assert bytes_of(other) == bytes_of(one) != {}
    assert days_of(other) == DAYS[:3]
    assert not sync(other.root).changed
    assert not os.access(other.duckdb_file, os.W_OK) or os.geteuid() == 0
    assert machines.is_whole()


def test_the_names_in_the_place_are_those_of_the_data_folder(in_a_folder: Machines) -> None:
    one = in_a_folder("one")
    done(one, 0)
    share = Path(in_a_folder.url.base)
    assert (share / "backlinks.duckdb").read_bytes() == one.duckdb_file.read_bytes()
    for name, content in bytes_of(one).items():
        assert (share / name).read_bytes() == content


def test_machines_in_turn_have_each_others_days(machines: Machines) -> None:
    one, other = machines("one"), machines("other")
    for number in range(4):
        done((one, other)[number % 2], number)
    assert days_of(other) == DAYS
    publish_tables(one, [])
    assert days_of(one) == DAYS
    assert machines.is_whole()


def test_nothing_is_sent_where_nothing_changed(machines: Machines, monkeypatch) -> None:
    one = machines("one")
    done(one, 0)
    before = machines.listing
    sent: list[str] = []
    watched = Watched(machines.place, lambda what, name: what in {"put", "exchange", "fetch"} and sent.append(name))
    monkeypatch.setattr(places, "open_place", lambda _url: watched)
    publish_tables(one, [])
    bring(one)
    built(one, 0)  # the same answers give the same bytes
    publish_tables(one, DAYS[:1])
    assert [name for name in sent if name != "backlinks.duckdb" and name != LIST] == []
    assert machines.listing.files.keys() == before.files.keys()


@pytest.mark.first
@pytest.mark.parametrize(
    ("machines", "step"),
    [*(("memory", step) for step in range(1, 9)), ("folder", 3), ("folder", 6), ("bucket", 1), ("bucket", 5)],
    indirect=["machines"],
)
def test_a_publisher_that_another_overtakes_at_any_step_loses_nothing(
    machines: Machines, monkeypatch, step: int
) -> None:
    """The other machine publishes a whole day in the middle of the first one's publication."""
    one, other = machines("one"), machines("other")
    done(one, 0)
    place, steps = machines.place, [0]

    def overtake(operation: str, _name: str) -> None:
        if operation in {"put", "exchange", "etag"}:
            steps[0] += 1
            if steps[0] == step:
                monkeypatch.setattr(places, "open_place", lambda _url: place)
                done(other, 1)

    monkeypatch.setattr(places, "open_place", lambda _url: Watched(place, overtake))
    done(one, 2)
    assert machines.is_whole()
    reader = machines("reader")
    bring(reader)
    assert days_of(reader) == DAYS[:3]
    assert not sync(reader.root).changed


def test_of_one_day_built_on_two_machines_the_list_has_what_the_place_has(machines: Machines, monkeypatch) -> None:
    one, other = machines("one"), machines("other")
    place, once = machines.place, []

    def overtake(operation: str, _name: str) -> None:
        if operation == "exchange" and not once:
            once.append(True)
            done(other, 0, links=2)

    monkeypatch.setattr(places, "open_place", lambda _url: Watched(place, overtake))
    done(one, 0, links=1)
    assert machines.is_whole()
    reader = machines("reader")
    bring(reader)
    assert not sync(reader.root).changed


def test_a_day_that_is_not_judged_yet_is_left_to_the_run_that_builds_it(in_a_folder: Machines) -> None:
    one = in_a_folder("one")
    keep_summary(one.root, DAYS[0], ["shop.example"])  # another run of this machine is at work on it
    done(one, 1)
    assert in_a_folder.listing.days("backlinks_summary") == [str(DAYS[1])]
    publish_tables(one, [DAYS[0]])
    assert in_a_folder.listing.days("backlinks_summary") == [str(DAYS[0]), str(DAYS[1])]


def test_what_was_built_here_and_not_published_yet_stays_and_is_published(in_a_folder: Machines) -> None:
    one, other = in_a_folder("one"), in_a_folder("other")
    done(one, 0, links=1)
    built(one, 0, links=2)
    newer = bytes_of(one)
    bring(one)  # as the sensor does, in the middle of a run
    assert bytes_of(one) == newer
    publish_tables(one, [])
    bring(other)
    assert bytes_of(other) == newer


def test_what_a_machine_has_from_before_gives_way_to_what_is_published(in_a_folder: Machines) -> None:
    done(in_a_folder("one"), 0, links=2)
    old = in_a_folder("old")
    built(old, 0, links=1)
    done(old, 1)
    assert bytes_of(old).items() >= bytes_of(in_a_folder("one")).items()


def test_a_mixed_day_is_refused_and_read_once_it_is_whole(machines: Machines, monkeypatch) -> None:
    one, reader = machines("one"), machines("reader")
    done(one, 0, "a.example")
    monkeypatch.setattr(Settings, "from_env", lambda **_: reader)
    built(one, 0, "b.example")
    name = f"parquet/backlinks_summary/date={DAYS[0]}/backlinks_summary.parquet"
    with (one.root / name).open("rb") as file:
        machines.place.put(name, file)  # as a publisher that was killed before the list leaves it
    monkeypatch.setattr(local_copy, "WAITS_S", 0.0)
    monkeypatch.setattr(local_copy.LocalCopy.bring, "__kwdefaults__", {"waits_s": 0.0, "gives_way": False})
    with pytest.raises(TablesError, match=rf"was replaced.*Wait a minute; then build {DAYS[0]} again"):
        load_table("backlinks_summary")
    assert not parquet_path(reader.root, "backlinks_summary", DAYS[0]).exists()
    monkeypatch.setattr(local_copy.LocalCopy.bring, "__kwdefaults__", {"waits_s": 60.0, "gives_way": False})
    later = threading.Timer(0.3, publish_tables, [one, DAYS[:1]])
    later.start()
    assert load_table("backlinks_summary")["target"].unique().tolist() == ["b.example"]
    later.join()
    assert machines.is_whole()


def test_a_machine_that_has_the_listed_version_reads_on_beside_a_mixed_day(in_a_folder: Machines, monkeypatch) -> None:
    one, reader = in_a_folder("one"), in_a_folder("reader")
    done(one, 0, "a.example")
    bring(reader)
    name = f"parquet/backlinks_summary/date={DAYS[0]}/backlinks_summary.parquet"
    (Path(in_a_folder.url.base) / name).write_bytes(b"other")
    monkeypatch.setattr(Settings, "from_env", lambda **_: reader)
    assert load_table("backlinks_summary")["target"].unique().tolist() == ["a.example"]


def test_a_day_that_a_killed_publisher_left_mixed_is_due_again_and_then_whole(
    in_a_folder: Machines, monkeypatch
) -> None:
    one, taking_over = in_a_folder("one"), in_a_folder("two")
    done(one, 0)
    name = f"parquet/backlinks_summary/date={DAYS[0]}/backlinks_summary.parquet"
    (Path(in_a_folder.url.base) / name).write_bytes(b"other")
    monkeypatch.setattr(
        local_copy.time, "sleep", lambda _s: monkeypatch.setattr(local_copy.time, "monotonic", lambda: 9e9)
    )
    bring_recent(taking_over, DAYS[0])  # the sensor's look
    assert not parquet_path(taking_over.root, "backlinks_summary", DAYS[0]).exists()
    bring(taking_over, built_here=[name])  # the run that it requests
    done(taking_over, 0, links=7)
    assert in_a_folder.is_whole()
    bring(one)
    assert bytes_of(one) == bytes_of(taking_over)


def test_a_run_builds_a_mixed_day_anew_though_it_has_an_older_version(in_a_folder: Machines) -> None:
    one, two = in_a_folder("one"), in_a_folder("two")
    done(one, 0, links=1)
    bring(two)
    done(one, 0, links=2)
    name = f"parquet/backlinks_summary/date={DAYS[0]}/backlinks_summary.parquet"
    (Path(in_a_folder.url.base) / name).write_bytes(b"other")
    bring(two, built_here=[name])  # the run's first step
    assert not parquet_path(two.root, "backlinks_summary", DAYS[0]).exists()
    built(two, 0, links=3)
    newer = bytes_of(two)[name]
    bring(two)  # its second step, which reads what the first has built
    assert bytes_of(two)[name] == newer
    publish_tables(two, DAYS[:1])
    bring(one)
    assert bytes_of(one)[name] == newer
    assert in_a_folder.is_whole()


def test_a_duckdb_file_that_a_killed_publisher_replaced_is_put_right_by_the_next_one(in_a_folder: Machines) -> None:
    one = in_a_folder("one")
    done(one, 0)
    (Path(in_a_folder.url.base) / "backlinks.duckdb").write_bytes(b"another's")
    publish_tables(one, [])
    assert in_a_folder.is_whole()
    reader = in_a_folder("reader")
    bring_duckdb(reader)
    assert days_of(reader) == DAYS[:1]


@pytest.mark.medium
def test_a_reader_fetches_only_the_days_that_it_reads(in_a_folder: Machines, monkeypatch) -> None:
    one, reader = in_a_folder("one"), in_a_folder("reader")
    for number in range(4):
        done(one, number)
    monkeypatch.setattr(Settings, "from_env", lambda **_: reader)
    assert len(load_table("backlinks_flags", DAYS[1], str(DAYS[2]))) == 2
    assert sorted(bytes_of(reader)) == [
        f"parquet/backlinks_flags/date={day}/backlinks_flags.parquet" for day in DAYS[1:3]
    ]


def test_pages_are_published_and_the_list_of_days_has_everybodys(in_a_folder: Machines, monkeypatch) -> None:
    one, other = in_a_folder("one"), in_a_folder("other")
    for settings, day in ((one, DAYS[0]), (other, DAYS[1])):
        page = page_path(settings.root, day)
        page.parent.mkdir(parents=True)
        page.write_text(f"the page of {day}")

        def listed(root: Path = settings.root) -> None:
            names = sorted(path.name for path in root.glob("reports/flags-*.html"))
            (root / "reports" / "index.html").write_text(" ".join(names))

        publish_pages(settings, [day], listed)
    assert (Path(in_a_folder.url.base) / "reports/index.html").read_text().count("flags-") == 2
    assert (Path(in_a_folder.url.base) / f"reports/flags-{DAYS[0]}.html").read_text() == f"the page of {DAYS[0]}"


def test_a_targets_page_comes_as_it_is_whatever_its_name(machines: Machines) -> None:
    one, other = machines("one"), machines("other")
    targets = ["shop.example", "https://x.example/A?b=1|2#2026-11-24", "https://x.example/%41/2026-11-24", "x" * 300]
    paths = [target_page_path(one.root, target) for target in targets] + [group_page_path(one.root, "Ä & Söhne +1")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    publish_pages(one, [], lambda: None)
    bring(other)
    for path in paths:
        name = path.relative_to(one.root)
        assert (other.root / name).read_text() == path.name
        assert day_of(name.as_posix()) is None  # it is about all days


@pytest.mark.parametrize(
    "name", ["../evil", "reports/../../evil.html", "/etc/evil.html", "responses.sqlite", "parquet/x.parquet"]
)
def test_a_list_makes_no_machine_write_anything_but_tables_and_pages(in_a_folder: Machines, name: str) -> None:
    one = in_a_folder("one")
    done(one, 0)
    listed = Path(in_a_folder.url.base) / LIST
    content = orjson.loads(listed.read_bytes())
    content["files"][name] = next(iter(content["files"].values()))
    listed.write_bytes(orjson.dumps(content))
    reader = in_a_folder("reader")
    bring(reader)
    assert not (reader.root / name).exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"format": 2, "generation": 1, "files": {}}', "A newer version of the program has published .* Upgrade"),
        (b'{"format": 1, "gen', "could not be read .* Bring back an earlier version"),
        (b'{"format": 1, "generation": 1, "files": {"x": {"bytes": 1}}}', "could not be read"),
    ],
)
def test_a_list_that_cannot_be_used_stops_with_a_sentence(in_a_folder: Machines, content: bytes, words: str) -> None:
    one = in_a_folder("one")
    (Path(in_a_folder.url.base) / LIST).write_bytes(content)
    with pytest.raises(TablesError, match=words):
        bring(one)
    with pytest.raises(TablesError, match=words):
        done(one, 0)
    assert (Path(in_a_folder.url.base) / LIST).read_bytes() == content


def test_without_a_place_nothing_is_imported_that_only_publishing_needs(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from backlinks_assets.load import load_table\n"
        "from backlinks_assets.published.publication import bring, publish_tables\n"
        "from backlinks_assets.settings import Settings\n"
        "settings = Settings.from_env()\n"
        "bring(settings); publish_tables(settings, [])\n"
        "wrong = {'obstore', 'backlinks_assets.published.place', 'backlinks_assets.published.local_copy'} & set(sys.modules)\n"
        "assert not wrong, wrong\n"
    )
    env = {**os.environ, "BACKLINKS_DATA_DIR": str(tmp_path / "data")}
    done_ = subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=env, capture_output=True, text=True)
    assert done_.returncode == 0, done_.stderr
