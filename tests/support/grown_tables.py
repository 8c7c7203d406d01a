"""Tables with more columns than this version declares, and what the usual readers make of old and new files together."""

import dataclasses
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from backlinks_assets.tables.schemas import TABLES


def a_day(table: str, *targets: str, **values: object) -> pa.Table:
    """Return rows of a table as declared now; NULL where nothing is given."""
    schema = TABLES[table].parquet_schema
    fillers: dict[pa.DataType, object] = {pa.string(): "x", pa.bool_(): True, pa.int64(): 7, pa.float64(): 0.5}
    row = {field.name: fillers.get(field.type) for field in schema}
    rows = [row | values | ({"target": target} if "target" in row else {}) for target in targets]
    return pa.Table.from_pylist(rows[: None if "target" in row else 1], schema=schema)


def grow(monkeypatch: pytest.MonkeyPatch, table: str, *new: pa.Field, at: int | None = None) -> None:
    """Declare more columns, at an index of the table or at its end."""
    old = TABLES[table]
    described = [field.with_metadata({"description": "A column of the next version."}) for field in new]
    index = len(old.arrow) if at is None else at
    fields = [*old.arrow]
    arrow = pa.schema([*fields[:index], *described, *fields[index:]])
    monkeypatch.setitem(TABLES, table, dataclasses.replace(old, arrow=arrow))


def columns_read(root: Path, table: str) -> dict[str, set[str]]:
    """Return the columns that each reader gives of all files together, with its defaults."""
    pattern = f"{root}/parquet/{table}/*/*.parquet"
    folder = root / "parquet" / table
    return {
        "duckdb": set(duckdb.sql(f"FROM read_parquet('{pattern}')").columns),
        "polars": set(pl.scan_parquet(pattern, hive_partitioning=True).collect().columns),
        "polars, eager": set(pl.read_parquet(pattern, hive_partitioning=True).columns),
        "pandas": set(pd.read_parquet(folder).columns),
        "pyarrow": set(ds.dataset(folder, partitioning="hive").to_table().column_names),
    }
