"""Tables whose columns grew: older days are rewritten once, so that whoever reads all files together gets every column."""

import datetime as dt
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import commands
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from grown_tables import a_day, columns_read, grow

from backlinks_assets import pipeline
from backlinks_assets.collect.factory import open_collector
from backlinks_assets.collect.outcome import CollectRequest
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.paths import parquet_path
from backlinks_assets.settings import Settings
from backlinks_assets.tables import evolution
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.duckdb_sync import reading, sync
from backlinks_assets.tables.evolution import fit_older_days
from backlinks_assets.tables.parquet import days, write_day, writing_day
from backlinks_assets.tables.schemas import SCHEMA_VERSION, TABLES, TableSchema

DAY = dt.date(2026, 3, 14)
DAYS = [DAY + dt.timedelta(days=number) for number in range(6)]


GROWN = [
    ("backlinks_flags", 9, [pa.field("mood", pa.string()), pa.field("told", pa.string())]),
    ("backlinks_summary", 6, [pa.field("referring_ips_nofollow", pa.int64())]),
    ("api_costs", None, [pa.field("currency", pa.string()), pa.field("at", pa.timestamp("us", "UTC"))]),
    ("referring_links", 1, [pa.field("kinds", pa.list_(pa.string()))]),
]


@pytest.mark.parametrize(("table", "at", "new"), GROWN, ids=[table for table, _, _ in GROWN])
def test_every_reader_of_old_and_new_files_together_gets_every_column(tmp_path, monkeypatch, table, at, new) -> None:
    for day in DAYS[:3]:
        write_day(tmp_path, table, day, a_day(table, "a.com", "b.com"))
    old = {day: pq.read_table(parquet_path(tmp_path, table, day), partitioning=None) for day in DAYS[:3]}
    grow(monkeypatch, table, *new, at=at)
    assert fit_older_days(tmp_path, {}) == {table: 3}
    write_day(tmp_path, table, DAYS[3], a_day(table, "a.com", "b.com"))
    wanted = set(TABLES[table].arrow.names)
    assert columns_read(tmp_path, table) == dict.fromkeys(columns_read(tmp_path, table), wanted)
    for day, before in old.items():
        path = parquet_path(tmp_path, table, day)
        after = pq.read_table(path, partitioning=None)
        assert after.schema.equals(TABLES[table].parquet_schema)
        assert after.schema.metadata == TABLES[table].parquet_schema.metadata
        assert all(field.metadata for field in after.schema), "what the columns mean"
        assert after.select(before.column_names).equals(before.cast(after.select(before.column_names).schema))
        assert all(after[field.name].null_count == after.num_rows for field in new)
        assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
    assert fit_older_days(tmp_path, {}) == {}


def test_what_a_file_says_of_itself_is_kept_and_its_row_groups_too(tmp_path: Path, monkeypatch) -> None:
    says = {"made_from": "a digest", "note": "ü"}
    with writing_day(tmp_path, "referring_links", DAY, metadata=says) as write:
        write(a_day("referring_links", "a.com"))
        write(a_day("referring_links", "b.com"))
    grow(monkeypatch, "referring_links", pa.field("more", pa.int64()))
    fit_older_days(tmp_path, {})
    with pq.ParquetFile(parquet_path(tmp_path, "referring_links", DAY)) as file:
        found = file.metadata.metadata
        assert {name: found[name.encode()].decode() for name in says} == says
        assert file.num_row_groups == 2
        assert file.schema_arrow.metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()


def test_row_groups_that_share_a_target_are_no_hindrance(tmp_path: Path, monkeypatch) -> None:
    rows = pa.concat_tables([a_day("referring_links", target, key=key) for target in "ab" for key in "xyz"])
    path = write_day(tmp_path, "referring_links", DAY, rows)
    pq.write_table(pq.read_table(path, partitioning=None), path, row_group_size=2)
    grow(monkeypatch, "referring_links", pa.field("more", pa.int64()))
    assert fit_older_days(tmp_path, {}) == {"referring_links": 1}
    assert pq.read_table(path, partitioning=None).num_rows == 6


def _as(column: str, kind: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    def change(rows: pa.Table) -> pa.Table:
        at = rows.column_names.index(column)
        return rows.set_column(at, pa.field(column, kind), rows[column].cast(kind))

    return change


def _reversed(rows: pa.Table) -> pa.Table:
    return rows.select(rows.column_names[::-1])


def _all_nullable(rows: pa.Table) -> pa.Table:
    return rows.cast(pa.schema([field.with_nullable(True) for field in rows.schema]))


DIFFERENT = {
    "a narrower whole number": _as("links", pa.int32()),
    "a whole number where a larger text type was": _as("key", pa.large_string()),
    "a dictionary": _as("target", pa.dictionary(pa.int32(), pa.string())),
    "another order": _reversed,
    "keys that could be NULL": _all_nullable,
    "a column less": lambda rows: rows.drop_columns("simulated"),
}


@pytest.mark.parametrize("change", DIFFERENT.values(), ids=DIFFERENT)
def test_types_order_and_nullability_are_brought_to_the_declared_ones(tmp_path: Path, change) -> None:
    path = write_day(tmp_path, "referring_links", DAY, a_day("referring_links", "a.com", "b.com"))
    whole = pq.read_table(path, partitioning=None)
    pq.write_table(change(whole), path)
    assert fit_older_days(tmp_path, {}) == {"referring_links": 1}
    after = pq.read_table(path, partitioning=None)
    assert after.schema.equals(TABLES["referring_links"].parquet_schema)
    assert after.drop_columns("simulated").equals(whole.drop_columns("simulated"))
    assert fit_older_days(tmp_path, {}) == {}


# --- cheap, resumable, safe -------------------------------------------------------------------------------------------


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files whose columns are read from now on."""
    found: list[Path] = []
    read = evolution._columns
    monkeypatch.setattr(evolution, "_columns", lambda path: found.append(path) or read(path))
    return found


def test_where_nothing_is_to_do_no_file_is_opened(tmp_path: Path, looks: list[Path], monkeypatch) -> None:
    for table in ("referring_links", "api_costs"):
        for day in DAYS[:3]:
            write_day(tmp_path, table, day, a_day(table, "a.com"))
    fit_older_days(tmp_path, {})
    assert len(looks) == 6
    fit_older_days(tmp_path, {})
    assert len(looks) == 6
    new = write_day(tmp_path, "api_costs", DAYS[3], a_day("api_costs", "a.com"))
    fit_older_days(tmp_path, {})
    assert looks[6:] == [new]
    grow(monkeypatch, "api_costs", pa.field("currency", pa.string()))
    assert fit_older_days(tmp_path, {}) == {"api_costs": 4}
    assert {path.stem for path in looks[7:]} == {"api_costs"}


@pytest.mark.parametrize("forgotten", ["nothing", "the states", "the states are damaged"])
def test_an_older_file_that_is_put_back_by_hand_is_found(tmp_path: Path, monkeypatch, forgotten: str) -> None:
    path = write_day(tmp_path, "referring_links", DAY, a_day("referring_links", "a.com"))
    backup = shutil.copy2(path, tmp_path / "backup")
    grow(monkeypatch, "referring_links", pa.field("more", pa.int64()))
    assert fit_older_days(tmp_path, {}) == {"referring_links": 1}
    assert fit_older_days(tmp_path, {}) == {}
    shutil.copy2(backup, path)  # with the time that it had
    states = tmp_path / "parquet" / ".columns.json"
    if forgotten == "the states":
        states.unlink()
    elif forgotten != "nothing":
        states.write_text('{"referring_links": [')
    assert fit_older_days(tmp_path, {}) == {"referring_links": 1}


def _killed_after_two(root: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        grow(patch, "referring_links", pa.field("more", pa.int64()))
        rewrite, done = evolution._rewrite, []

        def slowly(*arguments: object) -> None:
            if len(done) == 2:
                Path("two are done").touch()
                time.sleep(600)
            rewrite(*arguments)  # type: ignore[arg-type]
            done.append(1)

        patch.setattr(evolution, "_rewrite", slowly)
        fit_older_days(root, {})


@pytest.mark.ci
@pytest.mark.slow
def test_after_a_kill_the_next_goes_on_with_what_is_left(tmp_path: Path, monkeypatch) -> None:
    for day in DAYS:
        write_day(tmp_path, "referring_links", day, a_day("referring_links", "a.com"))
    process = multiprocessing.get_context("spawn").Process(target=_killed_after_two, args=[tmp_path])
    process.start()
    commands.wait_for(Path("two are done").exists, 200)
    process.kill()
    process.join()
    grow(monkeypatch, "referring_links", pa.field("more", pa.int64()))
    names = TABLES["referring_links"].parquet_schema.names
    found = [pq.read_schema(parquet_path(tmp_path, "referring_links", day)).names for day in DAYS]
    assert [name == names for name in found] == [True] * 2 + [False] * 4
    assert fit_older_days(tmp_path, {}) == {"referring_links": 4}
    assert fit_older_days(tmp_path, {}) == {}


def test_a_day_that_is_built_anew_in_the_meantime_is_not_undone(tmp_path: Path, monkeypatch) -> None:
    write_day(tmp_path, "referring_links", DAY, a_day("referring_links", "a.com"))
    grow(monkeypatch, "referring_links", pa.field("more", pa.int64()))
    filled = evolution._filled

    def while_another_builds(schema: TableSchema, part: pa.Table) -> pa.Table:
        write_day(tmp_path, "referring_links", DAY, a_day("referring_links", "new.com", "newer.com"))
        return filled(schema, part)

    monkeypatch.setattr(evolution, "_filled", while_another_builds)
    assert fit_older_days(tmp_path, {}) == {}
    path = parquet_path(tmp_path, "referring_links", DAY)
    assert pq.read_table(path, partitioning=None)["target"].to_pylist() == ["new.com", "newer.com"]


def test_a_damaged_file_is_left_to_its_readers_and_the_others_are_rewritten(tmp_path: Path, monkeypatch) -> None:
    for day in DAYS[:3]:
        write_day(tmp_path, "referring_links", day, a_day("referring_links", "a.com"))
    os.truncate(parquet_path(tmp_path, "referring_links", DAYS[1]), 100)
    grow(monkeypatch, "referring_links", pa.field("more", pa.int64()))
    assert fit_older_days(tmp_path, {}) == {"referring_links": 2}


# --- refused ----------------------------------------------------------------------------------------------------------


def _more_columns(rows: pa.Table) -> pa.Table:
    return rows.append_column("of_tomorrow", pa.array(["x"] * rows.num_rows))


def _of_a_newer_version(rows: pa.Table) -> pa.Table:
    other = _as("links", pa.float64())(rows)
    return other.replace_schema_metadata({"schema_version": str(SCHEMA_VERSION + 1)})


@pytest.mark.parametrize("newer", [_more_columns, _of_a_newer_version], ids=["more columns", "another type"])
def test_a_file_of_a_newer_version_stops_publishing_and_nothing_is_touched(tmp_path: Path, newer) -> None:
    older, path = (write_day(tmp_path, "referring_links", day, a_day("referring_links", "a.com")) for day in DAYS[:2])
    pq.write_table(newer(pq.read_table(path, partitioning=None)), path)
    pq.write_table(pq.read_table(older, partitioning=None).drop_columns("simulated"), older)
    before = {one: one.read_bytes() for one in (older, path)}
    with pytest.raises(TablesError, match=r"referring_links of 2026-03-15 has columns .* Upgrade the program"):
        fit_older_days(tmp_path, {"referring_links": DAYS})
    assert {one: one.read_bytes() for one in before} == before


UNFIT = {
    "a key column is missing": lambda rows: rows.drop_columns("target"),
    "a text that is no number": _as("links", pa.string()),
    "a NULL in the key": lambda rows: _all_nullable(rows).set_column(0, "target", pa.nulls(rows.num_rows, pa.string())),
}


@pytest.mark.parametrize("change", UNFIT.values(), ids=UNFIT)
def test_a_file_that_cannot_be_brought_up_is_named_and_building_its_day_is_not_hindered(tmp_path: Path, change) -> None:
    bad, good = (write_day(tmp_path, "referring_links", day, a_day("referring_links", "a.com")) for day in DAYS[:2])
    rows = pq.read_table(bad, partitioning=None)
    rows = (
        rows.set_column(4, "links", pa.array(["many"])) if change is UNFIT["a text that is no number"] else change(rows)
    )
    pq.write_table(rows, bad)
    pq.write_table(pq.read_table(good, partitioning=None).drop_columns("simulated"), good)
    with pytest.raises(TablesError, match=r"Build referring_links of 2026-03-14 again: .* costs nothing") as caught:
        fit_older_days(tmp_path, {"referring_links": [DAYS[2]], "api_costs": [DAY]})
    assert str(bad) in str(caught.value)
    assert pq.read_schema(good).equals(TABLES["referring_links"].parquet_schema), "the others are done"
    assert fit_older_days(tmp_path, {"referring_links": [DAY]}) == {}


# --- publishing -------------------------------------------------------------------------------------------------------


@pytest.fixture
def collected(clean_environment: Path) -> Settings:
    """A folder with some days' simulated answers."""
    settings = Settings.from_env()
    asks = [CollectRequest(day, f"shop{number}.example", RequestParameters()) for day in DAYS for number in range(2)]
    with open_collector(settings) as collector:
        assert [outcome.error for outcome in collector.collect(asks)] == [None] * len(asks)
    return settings


WITHOUT_DAYS = {"backlinks_bulk", "flag_evidence", "lost_history"}
"""Tables that a day in full, without evidence or back-fill, does not have."""


@pytest.mark.ci
@pytest.mark.medium
def test_publishing_a_day_with_new_columns_rewrites_the_older_ones_first_and_says_so(
    collected: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, said = collected.root, []
    list(pipeline.publish_days(collected, DAYS[:4]))
    list(pipeline.publish_changes(collected, DAYS[:4], {}, DetectionSettings()))
    sync(root)
    for table in TABLES:
        grow(monkeypatch, table, pa.field("of_tomorrow", pa.int64()), at=3)
    monkeypatch.setattr(pipeline, "publish_answers", lambda *_: _interrupted())
    with pytest.raises(KeyboardInterrupt):  # before the first new day is written
        list(pipeline.publish_days(collected, DAYS[4:5], say=said.append))
    assert sorted(said) == [
        f"4 older days of {table} were rewritten with the columns of this version."
        for table in sorted(TABLES.keys() - WITHOUT_DAYS)
    ]
    for table, schema in TABLES.items():
        if table in WITHOUT_DAYS:
            continue
        assert days(root, table) == DAYS[:4]
        wanted = set(schema.arrow.names)
        assert columns_read(root, table) == dict.fromkeys(columns_read(root, table), wanted)
    assert sync(root).rebuilt
    with reading(root) as connection:
        assert connection.execute("SELECT count(*), count(of_tomorrow) FROM backlinks_summary").fetchone() == (16, 0)


def _interrupted() -> None:
    raise KeyboardInterrupt


def test_judging_alone_rewrites_them_too(collected: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    list(pipeline.publish_days(collected, DAYS[:3]))
    old = parquet_path(collected.root, "backlinks_summary", DAY)
    pq.write_table(pq.read_table(old, partitioning=None).drop_columns("referring_main_domains"), old)
    list(pipeline.publish_changes(collected, DAYS[2:3], {}, DetectionSettings()))
    assert pq.read_schema(old).equals(TABLES["backlinks_summary"].parquet_schema)


def test_a_newer_file_among_the_older_days_stops_publishing_with_a_sentence(collected: Settings) -> None:
    list(pipeline.publish_days(collected, DAYS[:2]))
    path = parquet_path(collected.root, "api_costs", DAY)
    pq.write_table(_more_columns(pq.read_table(path, partitioning=None)), path)
    with pytest.raises(TablesError, match=r"a newer version wrote them, and nothing was published"):
        list(pipeline.publish_days(collected, DAYS[2:3]))
    assert days(collected.root, "backlinks_summary") == DAYS[:2]
