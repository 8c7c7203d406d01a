"""Those who read the tables: the load helpers, every example of docs/consume.md, the notebook, the second location."""

import datetime as dt
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import duckdb
import pages
import pandas as pd
import pyarrow as pa
import pytest

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.partitions import all_target_days, day_range_tags, days
from backlinks_assets.load import load_partition, load_table
from backlinks_assets.tables import duckdb_sync
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import SCHEMA_VERSION, TABLES
from backlinks_assets.targets.name import partition_key

pytestmark = pytest.mark.slow

PAGE = (pages.ROOT / "docs" / "consume.md").read_text(encoding="utf-8")
EXAMPLES = [block.text for block in pages.of_kind("python") if block.page.name == "consume.md"]
TODAY = utc_now().date()
PAGE_TARGET = "https://shop.example/a|b"


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """Ten days of two targets up to today, one flag a day, under `data/demo` of the working folder."""
    root = tmp_path / "data" / "demo"
    for day in (TODAY - dt.timedelta(days=back) for back in range(10)):
        write_tables(root, day)
    duckdb_sync.sync(root)
    return root


def write_tables(root: Path, day: dt.date) -> None:
    """Write one day of every table that is read here."""
    number = (day - dt.date(2026, 1, 1)).days
    summaries = [
        {
            "target": target,
            "status_type": status,
            "has_data": True,
            "request_key": "k",
            "attempts": 1,
            "backlinks": links,
        }
        for target, links in (("shop.example", 100 + number), (PAGE_TARGET, None))
        for status in ("live", "lost")
    ]
    changes = [
        {"target": target, "metric": metric, "value": float(number), "baseline": 1.0, "score": 5.0}
        for target in ("shop.example", PAGE_TARGET)
        for metric in ("lost_backlinks", "spam_score")
    ]
    flags = [{**changes[0], "severity": "critical", "reason": "Lost backlinks rose."}]
    costs = [{"calls": 4, "answers": 4, "cost_usd": 0.1, "charged_without_answer": 0}]
    rows = {"backlinks_summary": summaries, "backlinks_changes": changes, "backlinks_flags": flags, "api_costs": costs}
    for name, made in rows.items():
        full = [{"date": day, "simulated": True, **row} for row in made]
        write_day(root, name, day, pa.Table.from_pylist(full, schema=TABLES[name].arrow))


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    home = tmp_path / "dagster"
    home.mkdir()
    with dg.instance_for_test(temp_dir=str(home)) as instance:
        yield instance


# --- load_table -----------------------------------------------------------------------------------------------------


def test_a_span_has_both_its_ends_and_days_as_days(demo: Path) -> None:
    first = TODAY - dt.timedelta(days=3)
    frame = load_table("backlinks_summary", first, str(TODAY - dt.timedelta(days=1)), demo)
    assert [day.date() for day in frame["date"].unique()] == [first + dt.timedelta(days=n) for n in range(3)]
    assert pd.api.types.is_datetime64_any_dtype(frame["date"])
    assert len(load_table("backlinks_summary", data_dir=demo)) == 40
    assert len(load_table("backlinks_summary", start=pd.Timestamp(first), data_dir=demo)) == 16


def test_what_is_unknown_is_na_and_whole_numbers_stay_whole(demo: Path) -> None:
    frame = load_table("backlinks_summary", TODAY, TODAY, demo, ["target", "backlinks", "has_data"])
    assert list(frame.columns) == ["target", "backlinks", "has_data"]
    assert str(frame["backlinks"].dtype) == "Int64"
    assert str(frame["has_data"].dtype) == "boolean"
    assert frame.set_index("target")["backlinks"].isna().to_dict() == {"shop.example": False, PAGE_TARGET: True}


def test_without_a_folder_it_reads_where_the_environment_says(demo: Path) -> None:
    assert len(load_table("backlinks_flags")) == 10  # no credentials: the simulator's


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "backlinks_flag"}, "The tables are backlinks_summary,"),
        ({"name": "backlinks_flags", "columns": ["severe"]}, "no column severe"),
        (
            {"name": "backlinks_flags", "start": "yesterday"},
            "'yesterday' is not a valid day: write a date as YYYY-MM-DD",
        ),
        ({"name": "backlinks_flags", "start": "2026-11-02", "end": "2026-11-01"}, "ends .* before it starts"),
    ],
)
def test_what_cannot_be_loaded_is_named(demo: Path, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load_table(**arguments, data_dir=demo)


def test_a_folder_without_tables_says_where_they_are(demo: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"simulated ones are in .*demo"):
        load_table("backlinks_flags", data_dir=demo.parent)
    with pytest.raises(FileNotFoundError, match="run a day"):
        load_table("backlinks_flags", data_dir=demo / "parquet")


# --- load_partition -------------------------------------------------------------------------------------------------

SEEN: list[pd.DataFrame] = []


@dg.asset(partitions_def=days, backfill_policy=dg.BackfillPolicy.single_run())
def daily(context: dg.AssetExecutionContext) -> None:
    SEEN.append(load_partition(context, "backlinks_changes"))


@dg.asset(partitions_def=dg.WeeklyPartitionsDefinition("2026-01-04"))
def weekly(context: dg.AssetExecutionContext) -> None:
    SEEN.append(load_partition(context, "backlinks_changes"))


@dg.asset(partitions_def=all_target_days)
def by_target(context: dg.AssetExecutionContext) -> None:
    SEEN.append(load_partition(context, "backlinks_changes"))


def loaded(asset: dg.AssetsDefinition, instance: dg.DagsterInstance, **how: Any) -> pd.DataFrame:
    assert dg.materialize([asset], instance=instance, **how).success
    return SEEN.pop()


def test_an_asset_gets_the_rows_of_its_day_or_of_all_days_of_its_run(demo: Path, instance: dg.DagsterInstance) -> None:
    frame = loaded(daily, instance, partition_key=str(TODAY))
    assert [day.date() for day in frame["date"].unique()] == [TODAY]
    first = TODAY - dt.timedelta(days=4)
    frame = loaded(daily, instance, tags=day_range_tags(str(first), str(TODAY)))
    assert frame["date"].nunique() == 5


def test_a_weekly_asset_gets_its_week(demo: Path, instance: dg.DagsterInstance) -> None:
    sunday = TODAY - dt.timedelta(days=(TODAY.weekday() + 1) % 7 + 7)  # of the last whole week
    frame = loaded(weekly, instance, partition_key=str(sunday))
    held = [TODAY - dt.timedelta(days=back) for back in range(10)]
    week = [sunday + dt.timedelta(days=number) for number in range(7)]
    assert {day.date() for day in frame["date"]} == set(held) & set(week)


def test_an_asset_by_date_and_target_gets_its_target(demo: Path, instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions("targets", ["shop.example", partition_key(PAGE_TARGET)])
    key = dg.MultiPartitionKey({"date": str(TODAY), "target": partition_key(PAGE_TARGET)})
    assert set(loaded(by_target, instance, partition_key=key)["target"]) == {PAGE_TARGET}


@pytest.mark.parametrize("foreign", ["eu west", "50%", "%E2%28"])
def test_a_partition_that_another_code_location_added_has_no_rows(demo: Path, instance, foreign: str) -> None:
    instance.add_dynamic_partitions("targets", ["shop.example", foreign, partition_key(PAGE_TARGET)])
    key = dg.MultiPartitionKey({"date": str(TODAY), "target": foreign})
    assert loaded(by_target, instance, partition_key=key).empty


# --- docs and notebook ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_of_the_page_runs(demo: Path, instance: dg.DagsterInstance, number: int) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(EXAMPLES[number], "consume.md", "exec"), names)
    made = [names[name] for name in ("flags", "worst", "days", "version") if name in names]
    if "critical_flags" in names:
        assert dg.materialize([names["critical_flags"]], instance=instance, partition_key=str(TODAY)).success
    elif "version" in names:
        assert names["version"] == SCHEMA_VERSION
    else:
        assert all(len(frame.collect() if hasattr(frame, "collect") else frame) for frame in made)
        assert made


def test_the_examples_agree_on_what_they_read(demo: Path) -> None:
    read = {}
    for code in EXAMPLES:
        library = next(name for name in ("polars", "duckdb", "pandas", "load", "pyarrow") if name in code)
        names: dict[str, Any] = {}
        exec(compile(code, "consume.md", "exec"), names)
        if "worst" in names:
            read[library] = sorted(str(day) for day in names["worst"]["date"])
        elif "flags" in names and library in ("pandas", "load"):
            frame = names["flags"]
            read[library] = sorted(str(day)[:10] for day in frame["date"])
    since = [day for day in read["pandas"] if day >= "2026-11-01"]
    assert read["polars"] == read["pandas"]
    assert read["load"] == since
    assert len(read["pandas"]) == 10


def test_the_version_is_in_the_duckdb_file_as_the_page_says(demo: Path) -> None:
    (query,) = re.findall(r"^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    with duckdb.connect(str(demo / "backlinks.duckdb"), read_only=True) as tables:
        assert tables.execute(query).fetchall() == [(SCHEMA_VERSION,)]


def test_a_new_version_of_the_columns_is_told() -> None:
    told = [int(number) for number in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)]
    assert told == list(range(1, SCHEMA_VERSION + 1))


@pytest.mark.ci
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::ResourceWarning"
)
def test_the_notebook_runs_from_top_to_bottom(demo: Path, tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(pages.ROOT / "examples" / "backlinks.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)  # kept clean in the repository
    # An output that comes 4 s later than the kernel says that it is done would be left out.
    patience = {"startup_timeout": 120, "timeout": 120, "iopub_timeout": 60}
    NotebookClient(notebook, **patience, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [cell["outputs"][0]["data"] for cell in notebook.cells if cell["cell_type"] == "code"]
    assert "Lost backlinks rose." in shown[0]["text/plain"]
    assert "baseline" in shown[1]["text/plain"]
    assert str(TODAY) in shown[2]["text/plain"]


# --- the second code location ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def downstream() -> ModuleType:
    file = pages.ROOT / "examples" / "downstream" / "definitions.py"
    spec = importlib.util.spec_from_file_location("downstream_definitions", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_second_location_imports_nothing_of_the_first() -> None:
    source = (pages.ROOT / "examples" / "downstream" / "definitions.py").read_text(encoding="utf-8")
    assert not re.search(r"^\s*(import|from) backlinks_assets", source, re.MULTILINE)


def test_flags_of_today_trigger_the_second_location_once_and_older_days_do_not(
    demo: Path, instance: dg.DagsterInstance, downstream: ModuleType
) -> None:
    both = dg.Definitions.merge(build_defs(), downstream.defs)
    key = downstream.sites_to_look_at.key

    def flagged(day: dt.date) -> None:
        instance.report_runless_asset_event(dg.AssetMaterialization("backlinks_flags", partition=str(day)))

    first = dg.evaluate_automation_conditions(both, instance, asset_selection=dg.AssetSelection.assets(key))
    flagged(TODAY - dt.timedelta(days=3))
    second = dg.evaluate_automation_conditions(
        both, instance, asset_selection=dg.AssetSelection.assets(key), cursor=first.cursor
    )
    assert second.total_requested == 0
    flagged(TODAY)
    third = dg.evaluate_automation_conditions(
        both, instance, asset_selection=dg.AssetSelection.assets(key), cursor=second.cursor
    )
    assert third.get_requested_partitions(key) == {str(TODAY)}
    fourth = dg.evaluate_automation_conditions(
        both, instance, asset_selection=dg.AssetSelection.assets(key), cursor=third.cursor
    )
    assert fourth.total_requested == 0


def test_the_second_locations_list_has_the_days_sites_worst_first(
    demo: Path, instance: dg.DagsterInstance, downstream: ModuleType
) -> None:
    result = dg.materialize(
        [downstream.sites_to_look_at],
        instance=instance,
        partition_key=str(TODAY),
        resources={"backlinks": downstream.BacklinksTables(duckdb_file=str(demo / "backlinks.duckdb"))},
    )
    assert result.success
    sites = pd.read_csv(Path("data/sites_to_look_at") / f"{TODAY}.csv")
    assert sites["target"].tolist() == ["shop.example"]
    assert sites["live_backlinks"].tolist() == [100 + (TODAY - dt.date(2026, 1, 1)).days]
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["dagster/partition_row_count"].value == 1


@pytest.mark.ci
def test_the_workspace_loads_both_locations(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("dagster")),
            *("definitions", "validate", "-w", str(pages.ROOT / "examples" / "downstream" / "workspace.yaml")),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("backlinks_assets", "downstream"):
        assert re.search(rf"Validation successful for code location {name}", done.stdout + done.stderr)
