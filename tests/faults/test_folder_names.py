"""A data folder of any name: a whole run works in it, or a sentence refuses it before anything is made."""

import datetime as dt
import os
from pathlib import Path

import commands
import pyarrow as pa
import pytest

from backlinks_assets.collect.factory import open_store
from backlinks_assets.env_values import SettingsError
from backlinks_assets.load import load_table
from backlinks_assets.settings import Settings
from backlinks_assets.tables.duckdb_sync import reading, sync
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES

pytestmark = pytest.mark.slow

DAY = dt.date(2026, 11, 24)

WHOLE_RUNS = {
    "as-in-urls-and-shells": '-feature%2Fx 100% a%20b#c&x=1; $HOME `id` "it\'s" ~ 📈',
    "as-in-globs-and-tables": "date=2020-01-01 *[a-z]{b}\nnew\tline [bold red]",
}
OTHER_NAMES = [
    "%41%s",
    "%(name)s",
    "file:x",
    ":memory:",
    "ü|é",
    "a+b",
    "'; DROP TABLE x --",
    "<b>",
    ".hidden",
    " ",
    "€" * 80,
]
REFUSED = {
    "question-mark": b"why?",
    "backslash": b"a\\b",
    "latin-1": "b\xfcro".encode("latin-1"),
    "too-long": b"x" * 200 + b"/" + b"y" * 200,
}


def make(base: Path, name: bytes) -> Path:
    folder = Path(os.fsdecode(os.fsencode(base) + b"/" + name))
    folder.mkdir(parents=True)
    return folder


def costs_of(day: dt.date) -> pa.Table:
    schema = TABLES["api_costs"].arrow
    row = {field.name: None if field.nullable else day if field.name == "date" else 0 for field in schema}
    return pa.Table.from_pylist([row | {"calls": 7}], schema=schema)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.ci
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, id=key, marks=[pytest.mark.ci] * (at > 0))
        for at, (key, name) in enumerate(WHOLE_RUNS.items())
    ],
)
def test_a_day_is_kept_in_the_folder_and_nowhere_beside_it(tmp_path: Path, monkeypatch, name: str) -> None:
    base = tmp_path / "base"
    folder = make(base, os.fsencode(name))
    monkeypatch.delenv("BACKLINKS_DATA_DIR")
    monkeypatch.chdir(folder)
    (folder / "data").mkdir()
    (folder / "data/targets.csv").write_text("target\nshop1.example\n")
    ended = commands.command("run", "--json")
    assert (ended.status, ended.summary.get("collected")) == (0, 1), ended.err
    checks = commands.command("doctor", "--json").summary["checks"]
    assert [check for check in checks if check["status"]] == []
    assert next(check for check in checks if check["check"] == "dagster")["says"].count("runs") >= 2
    assert names_in(base) == [name]
    assert names_in(folder) == ["data", "said"]
    assert (folder / "data/demo/reports/index.html").exists()
    assert (folder / "data/demo/backlinks.duckdb").exists()


@pytest.mark.first
@pytest.mark.parametrize("name", OTHER_NAMES)
def test_store_tables_and_instance_are_in_the_folder_of_that_name(tmp_path: Path, monkeypatch, name: str) -> None:
    from backlinks_assets.dagster_instance.home import open_instance

    base = tmp_path / "base"
    monkeypatch.setenv("BACKLINKS_DATA_DIR", str(make(base, os.fsencode(name)) / "data"))
    settings = Settings.from_env()
    with open_store(settings) as store:
        assert store.dates() == []
    with open_instance(settings) as instance:
        instance.add_dynamic_partitions("targets", ["one"])
    with open_instance(settings) as instance:
        assert instance.get_dynamic_partitions("targets") == ["one"]
        assert instance.get_runs_count() == 0
    write_day(settings.root, "api_costs", DAY, costs_of(DAY))
    sync(settings.root)
    with reading(settings.root) as connection:
        assert connection.sql("SELECT date, calls FROM api_costs").fetchall() == [(DAY, 7)]
    assert load_table("api_costs")["calls"].tolist() == [7]
    assert settings.store_file.exists()
    assert (settings.dagster_dir / "history/runs.db").exists()
    assert (settings.dagster_dir / "schedules/schedules.db").exists()
    assert names_in(base) == [name]


@pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED)
def test_a_name_that_cannot_work_is_refused_before_anything_is_made(tmp_path: Path, monkeypatch, name: bytes) -> None:
    folder = make(tmp_path / "base", name)
    monkeypatch.setenv("BACKLINKS_DATA_DIR", os.fsdecode(os.fsencode(folder) + b"/data"))
    ended = commands.command("run")
    assert ended.status == 2
    assert "BACKLINKS_DATA_DIR" in ended.err
    assert "Traceback" not in ended.err
    assert names_in(folder) == []
    assert len([path for path in (tmp_path / "base").rglob("*") if path.is_file()]) == 0


def test_a_name_longer_than_any_file_system_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="shorter"):
        Settings.from_env({"BACKLINKS_DATA_DIR": str(tmp_path / ("ä" * 128))})


@pytest.mark.parametrize("name", ["~nobody-of-this-name", "~nobody-of-this-name/data"])
@pytest.mark.parametrize("variable", ["BACKLINKS_DATA_DIR", "BACKLINKS_TARGETS_FILE"])
def test_a_tilde_without_a_home_is_refused_with_the_way_to_write_it(variable: str, name: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable} is '~nobody") as refused:
        Settings.from_env({variable: name})
    assert f"./{name}" in str(refused.value)
    assert Settings.from_env({variable: f"./{name}"})
