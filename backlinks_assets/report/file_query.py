"""SQL over the parquet files of some days, by the report's own questions."""

import datetime as dt
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import duckdb

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
    paths = [parquet_path(root.absolute(), table, date) for date in dates]
    if not paths:
        return []
    try:
        with closing(duckdb.connect()) as connection:
            found = connection.execute(_DAYS + query, [[*map(unglobbed, paths)], *parameters])
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    except duckdb.Error as error:
        raise (find_damaged(paths) or tables_error("read", paths[0].parent.parent, error)) from error
