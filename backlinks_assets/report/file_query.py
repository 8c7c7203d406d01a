"""SQL over the parquet files of some days, by the report's own questions."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from backlinks_assets.paths import parquet_path
from backlinks_assets.tables.atomic import tables_error
from backlinks_assets.tables.duckdb_file import DAY_OF_FILE, unglobbed
from backlinks_assets.tables.parquet import find_damaged

_DAYS: Final = f"""
WITH days AS (SELECT *, {DAY_OF_FILE} AS date FROM read_parquet(?, filename = true, hive_partitioning = false))
"""  # noqa: S608 - a constant is put in


def query_days(root: Path, table: str, dates: Iterable[dt.date], query: str, *parameters: Any) -> list[dict[str, Any]]:
    """Return the rows of a query over a table's files of some days, which it names `days`, with their `date`.

    Raises:
        TablesError: a file can't be read; the message names it.
    """
    paths = _paths(root, table, dates)
    if not paths:
        return []
    with _asked(paths, query, parameters) as found:
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def query_columns(
    root: Path, table: str, dates: Iterable[dt.date], query: str, *parameters: Any
) -> dict[str, npt.NDArray[Any]]:
    """Return the same by column, for millions of rows: numbers as float64 with NaN for NULL; no column without a file.

    Raises:
        TablesError: as `query_days`.
    """
    paths = _paths(root, table, dates)
    if not paths:
        return {}
    with _asked(paths, query, parameters) as found:
        return {name: _unmasked(np.ma.asarray(column)) for name, column in found.fetchnumpy().items()}


def _unmasked(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if column.dtype.kind not in "iuf":
        return np.asarray(column)
    return np.ma.filled(column.astype(np.float64), np.nan)


def _paths(root: Path, table: str, dates: Iterable[dt.date]) -> list[Path]:
    return [parquet_path(root.absolute(), table, date) for date in dates]


@contextmanager
def _asked(paths: Sequence[Path], query: str, parameters: Sequence[Any]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield the result of a query over some files. An error of DuckDB becomes one that names the damaged file."""
    try:
        with closing(duckdb.connect()) as connection:
            yield connection.execute(_DAYS + query, [[*map(unglobbed, paths)], *parameters])
    except duckdb.Error as error:
        raise (find_damaged(paths) or tables_error("read", paths[0].parent.parent, error)) from error
