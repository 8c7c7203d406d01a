"""What must hold of a day's tables, on real parquet files."""

import datetime as dt
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backlinks_assets.paths import parquet_path
from backlinks_assets.tables import quality
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES

DAY = dt.date(2026, 11, 24)


def write(root: Path, **changed: object) -> None:
    """Write a day of two targets, both status types; `changed` are values of the first row."""
    schema = TABLES["backlinks_summary"].arrow
    rows = []
    for target in ("a.example", "b.example"):
        for status in ("live", "lost"):
            row = dict.fromkeys(schema.names)
            row |= {"date": DAY, "target": target, "status_type": status, "has_data": True, "backlinks": 100}
            row |= {"captured_at": dt.datetime(2026, 11, 24, tzinfo=dt.UTC), "attempts": 1, "request_key": "k"}
            row |= {"request_parameters": "{}", "simulated": True, "referring_pages": 90}
            rows.append(row)
    rows[0] |= changed
    write_day(root, "backlinks_summary", DAY, pa.Table.from_pylist(rows, schema=schema))


def test_a_full_plausible_day_holds(tmp_path: Path) -> None:
    write(tmp_path)
    assert quality.every_target_present(tmp_path, DAY, {"a.example", "b.example"}).holds
    assert quality.values_plausible(tmp_path, DAY).holds
    assert quality.schema_as_declared(tmp_path, DAY, ["backlinks_summary"]).holds


def test_missing_targets_and_halves_of_targets_are_counted_and_named(tmp_path: Path) -> None:
    write(tmp_path, status_type="all")
    found = quality.every_target_present(tmp_path, DAY, {"a.example", "b.example", "c.example"})
    assert (found.holds, found.count) == (False, 2)
    assert found.rows == [
        {"target": "a.example", "missing": "live"},
        {"target": "c.example", "missing": "live and lost"},
    ]


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"backlinks_spam_score": 101}, "backlinks_spam_score"),
        ({"backlinks": -1, "referring_pages": -1}, "backlinks"),
        ({"rank": 1001}, "rank"),
        ({"referring_pages": 101}, "referring_pages"),
        ({"referring_domains": 5, "referring_main_domains": 6}, "referring_main_domains"),
        ({"referring_ips": 5, "referring_subnets": 6}, "referring_subnets"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_is_named_with_its_value(tmp_path: Path, changed: dict[str, int], column: str) -> None:
    write(tmp_path, **changed)
    found = quality.values_plausible(tmp_path, DAY)
    assert not found.holds
    assert column in {row["column"] for row in found.rows}
    assert found.rows[0]["target"] == "a.example"


def test_a_file_of_another_schema_is_told(tmp_path: Path) -> None:
    write(tmp_path)
    path = parquet_path(tmp_path, "backlinks_summary", DAY)
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.drop_columns(["rank"]), path)
    found = quality.schema_as_declared(tmp_path, DAY, ["backlinks_summary"])
    assert found.rows == [{"table": "backlinks_summary", "column": "rank", "declared": "int64", "found": "not there"}]


def test_flags_are_listed_worst_first_ten_at_most() -> None:
    flags = pd.DataFrame(
        {
            "target": ["*"] + [f"t{number}" for number in range(12)],
            "metric": ["spam_score"] * 13,
            "severity": ["warning"] + ["critical"] * 3 + ["warning"] * 9,
            "kind": ["index_move"] + ["step"] * 12,
            "reason": ["moved"] * 13,
        }
    )
    found = quality.sharp_changes(flags, "spam_score", DAY)
    assert (found.holds, found.count, len(found.rows)) == (False, 12, 10)
    assert "3 of them critically" in found.sentence
    assert quality.sharp_changes(flags, "lost_backlinks", DAY).holds
    assert quality.index_moves(flags, DAY).count == 1
    assert quality.vendor_faults(flags, DAY).holds


def test_the_vendors_fault_is_no_index_move_and_a_return_is_no_target_down() -> None:
    rows = [
        (
            "*",
            "lost_backlinks",
            "critical",
            None,
            "vendor_fault",
            "The vendor's fault, not your links: 9 of 9 targets.",
        ),
        ("gone.example", "target_down", "critical", "down", "down", "The target is down."),
        ("back.example", "target_down", "warning", "up", "down", "The target is back."),
    ]
    flags = pd.DataFrame(rows, columns=["target", "metric", "severity", "direction", "kind", "reason"])
    fault = quality.vendor_faults(flags, DAY)
    assert (fault.holds, fault.count) == (False, 1)
    assert fault.sentence == "The vendor's fault, not your links: 9 of 9 targets."
    assert quality.index_moves(flags, DAY).holds
    assert quality.sharp_changes(flags, "lost_backlinks", DAY).holds
    down = quality.sharp_changes(flags, "target_down", DAY)
    assert [row["target"] for row in down.rows] == ["gone.example"]
    assert down.sentence == f"1 target went down on {DAY}."
    assert quality.sharp_changes(flags[2:], "target_down", DAY).holds
