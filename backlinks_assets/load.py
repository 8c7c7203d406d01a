"""The tables as data frames: a span of days, or the partitions of a running asset.

Reading only, from the parquet files, beside any number of readers and writers. The columns are in `docs/tables.md`.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import pandas as pd
import pyarrow as pa

from backlinks_assets.dates import iso_date
from backlinks_assets.paths import DEMO, parquet_dir
from backlinks_assets.published.publication import bring, table_between, where_real_ones_are
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import days, read_days
from backlinks_assets.tables.schemas import TABLES
from backlinks_assets.targets.name import partition_key

_NULLABLE: Final = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
"""numpy's integers and truth values have no NULL: with an unknown one they would become floats and objects."""


class PartitionContext(Protocol):
    """The part of Dagster's `AssetExecutionContext` that is used."""

    @property
    def partition_time_window(self) -> Any: ...

    @property
    def partition_keys(self) -> Sequence[str]: ...


def load_table(
    name: str,
    start: dt.date | str | None = None,
    end: dt.date | str | None = None,
    data_dir: Path | str | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return a table's rows from `start` to `end`, both included, by day: all days without them.

    `date` is datetime64; whole numbers and truth values are pandas' nullable types, so that NULL is `<NA>` and never 0.
    Days without a file give no rows. All columns, or those named.

    Args:
        name: a table of `docs/tables.md`, such as `backlinks_flags`.
        start, end: days, or text as `2026-11-24`.
        data_dir: the folder that holds `parquet`; without it, the one that the environment names, into which the days are
            fetched first that are published (`BACKLINKS_TABLES_URL`). The simulator's answers are in `demo` under it.
        columns: their names, in the order wanted.

    Raises:
        ValueError: the table, column or day does not exist, or the span ends before it starts.
        FileNotFoundError: the folder holds no tables; the message says where they may be.
        TablesError: a file could not be read, or is being replaced where it is published; the message names it.
    """
    if name not in TABLES:
        raise ValueError(f"There is no table {name!r}. The tables are {', '.join(TABLES)}.")
    unknown = [column for column in columns or () if column not in TABLES[name].arrow.names]
    if unknown:
        raise ValueError(f"{name} has no column {', '.join(unknown)}: docs/tables.md lists those it has.")
    root, hint = _brought(name, start, end) if data_dir is None else (Path(data_dir), "")
    if not parquet_dir(root).is_dir():
        raise FileNotFoundError(_no_tables(root) + hint)
    held = days(root, name)
    first = _day(start) if start is not None else min(held, default=dt.date.min)
    last = _day(end) if end is not None else max(held, default=dt.date.max)
    if start is not None and end is not None and last < first:
        raise ValueError(f"The span ends ({last}) before it starts ({first}): give the earlier day first.")
    table = read_days(root, name, first, last, columns)
    frame: pd.DataFrame = table.to_pandas(types_mapper=_NULLABLE.get, date_as_object=False)
    return frame


def load_partition(
    context: PartitionContext, name: str, data_dir: Path | str | None = None, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return a table's rows of the days that a running asset is about, for assets in Dagster.

    Any partitions by time will do: a weekly asset gets its week, a run over several days all of them, and an asset by
    date and target (this project's `target_days`) the rows of its targets.

    Raises:
        As `load_table`.
    """
    window = context.partition_time_window
    last = (window.end - dt.timedelta(microseconds=1)).date()
    frame = load_table(name, window.start.date(), last, data_dir, columns)
    dimensions = [key.keys_by_dimension for key in context.partition_keys if hasattr(key, "keys_by_dimension")]
    keys = {keys["target"] for keys in dimensions if "target" in keys}
    if not keys or "target" not in frame:
        return frame
    # Names are made keys and not the reverse: a key that another code location added may not be a target's.
    return frame[frame["target"].isin([name for name in frame["target"].unique() if partition_key(name) in keys])]


def _brought(name: str, start: dt.date | str | None, end: dt.date | str | None) -> tuple[Path, str]:
    """Return the root that the environment names, with the days that are published, and what to say if there are none."""
    settings = Settings.from_env(only_reads=True)
    first, last = (None if day is None else _day(day) for day in (start, end))
    bring(settings, table_between(name, first, last))
    return settings.root, where_real_ones_are(settings)


def _day(value: dt.date | str) -> dt.date:
    if isinstance(value, dt.datetime):  # a pandas Timestamp is one
        return value.date()
    if isinstance(value, dt.date):
        return value
    try:
        return iso_date(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is not a valid day: {error}") from None


def _no_tables(root: Path) -> str:
    if parquet_dir(root / DEMO).is_dir():
        return f"{root} holds no tables of real answers; those of simulated ones are in {root / DEMO}."
    return f"{root} holds no tables yet: run a day, or name the folder that has them."
