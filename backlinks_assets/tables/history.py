"""Reads the history for detection from the parquet files: the `SOURCES` of `detection/metrics.py` by day and target."""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from math import inf
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa

from backlinks_assets.detection.metrics import METRICS, POINTS, SOURCES, Source
from backlinks_assets.paths import parquet_path
from backlinks_assets.tables import parquet
from backlinks_assets.tables.atomic import tables_error
from backlinks_assets.tables.bulk_rows import MAX_MISSING_SHARE
from backlinks_assets.tables.duckdb_file import DAY_OF_FILE, unglobbed

_COLUMNS = {"date": "datetime64[us]", "target": "str"} | dict.fromkeys(SOURCES, "float64") | {"request_key": "str"}
MAX_SPAM_SCORE = int(POINTS.highest)


def _value(name: str, source: Source) -> str:
    """A value out of its range is read as missing; `quality.py` names it."""
    column = f"{source.status_type}.{source.column}"
    if source.is_set:
        return f"({column} IS NOT NULL)::DOUBLE AS {name}"
    highest = METRICS[name].scale.highest if name in METRICS else inf
    return f"CASE WHEN {column} BETWEEN 0 AND '{highest}'::DOUBLE THEN {column}::DOUBLE END AS {name}"


_MADE = f"""date, target,
    {", ".join(_value(name, source) for name, source in SOURCES.items())},
    CASE WHEN live.request_key <> lost.request_key THEN concat(live.request_key, '+', lost.request_key)
        ELSE coalesce(live.request_key, lost.request_key) END AS request_key"""
_READ = ", ".join(sorted({source.column for source in SOURCES.values()}))
_ANSWERS = f"""
SELECT {DAY_OF_FILE} AS date, target, status_type, request_key, {_READ}
FROM read_parquet(?, filename = true, hive_partitioning = false)
"""  # noqa: S608 - a constant is put in
_BULK_MADE = ", ".join(
    f"(lost_date IS NOT NULL)::DOUBLE AS {name}"
    if source.is_set
    else f"CASE WHEN {column} BETWEEN 0 AND '{METRICS[name].scale.highest if name in METRICS else inf}'::DOUBLE "
    f"THEN {column}::DOUBLE END AS {name}"
    for name, source in SOURCES.items()
    for column in ["lost_level" if source.status_type == "lost" else source.column]
)
_IN_BULK = f"""
SELECT {DAY_OF_FILE} AS date, target, {_BULK_MADE}, 'bulk ' || level_start AS request_key
FROM read_parquet(?, filename = true, hive_partitioning = false)
"""  # noqa: S608 - constants are put in
_DAYS_TOGETHER = 30
"""Days read by one statement, which needs several times the memory of its result."""
_OF_TARGETS = " WHERE target BETWEEN ? AND ? AND target IN (SELECT unnest(?::VARCHAR[]))"
"""The range comes first: files are sorted by target, so DuckDB reads only a part of them."""


def detection_history(
    root: Path,
    until: dt.date,
    days: int,
    targets: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return a row per day and target with an answer, of the `days` days up to `until`, sorted by both.

    Columns: `date` (datetime64, midnight); `target`; each of `SOURCES` by its name, float64, NaN where the answer or the
    field is missing or out of its range; `request_key` of the parameters, equal for both answers or for the only one, and
    `live+lost` where they differ. Without `targets` all are returned.

    Raises:
        TablesError: a parquet file could not be read; the message names it.
    """
    paths, in_bulk = _paths(root, until, days), _paths(root, until, days, "backlinks_bulk")
    if not paths or (targets is not None and not targets):
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _COLUMNS.items()})
    wanted = [] if targets is None else [min(targets), max(targets), list(targets)]
    statement = (
        f"CREATE OR REPLACE TABLE history AS WITH answers AS ({_ANSWERS}{_OF_TARGETS if wanted else ''}) "  # noqa: S608
        f"SELECT {_MADE} FROM (FROM answers WHERE status_type = 'live') AS live "
        "FULL JOIN (FROM answers WHERE status_type = 'lost') AS lost USING (date, target)"
    )
    parts = []
    with _reading(paths) as connection:
        for start in range(0, len(paths), _DAYS_TOGETHER):
            read = paths[start : start + _DAYS_TOGETHER]
            some = [unglobbed(path) for path in read]
            # Through a table: a streamed result is made by one thread, in twice the time.
            connection.execute(statement, [some, *wanted])
            if of_these := [path for path in in_bulk if path.parent.name in {each.parent.name for each in read}]:
                _take_bulk(connection, of_these, wanted)
            parts.append(connection.sql("FROM history ORDER BY date, target").to_arrow_table())
    rows = pa.concat_tables(parts)
    del parts
    history: pd.DataFrame = rows.to_pandas(date_as_object=False, self_destruct=True, split_blocks=True)
    return history.astype(_COLUMNS)


def _take_bulk(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], wanted: Sequence[object]) -> None:
    """Put the bulk readings of some days in the place of the same targets' summaries, which are for comparison only.

    A day on which too many are missing keeps none.
    """
    files = [unglobbed(path) for path in paths]
    connection.execute(
        f"CREATE OR REPLACE TABLE in_bulk AS {_IN_BULK}{_OF_TARGETS if wanted else ''}", [files, *wanted]
    )
    connection.execute("DELETE FROM history WHERE (date, target) IN (SELECT (date, target) FROM in_bulk)")
    bad_days = (
        f"SELECT {DAY_OF_FILE} AS date FROM read_parquet(?, filename = true, hive_partitioning = false) GROUP BY ALL "  # noqa: S608
        f"HAVING count(*) FILTER (is_missing) > greatest(1, {MAX_MISSING_SHARE} * count(*) FILTER (has_data OR is_missing))"
    )
    connection.execute(f"DELETE FROM in_bulk WHERE date IN ({bad_days})", [files])  # noqa: S608
    connection.execute("INSERT INTO history BY NAME FROM in_bulk")


def targets_in_bulk(root: Path, day: dt.date) -> list[str]:
    """Return the targets that were watched in bulk on a day. Raises as `read_days`."""
    names: list[str] = parquet.read_days(root, "backlinks_bulk", day, day, ["target"])["target"].to_pylist()
    return names


def targets_with_answers(root: Path, until: dt.date, days: int) -> list[str]:
    """Return the targets that `detection_history` has rows of, sorted. Raises as it does."""
    paths = [*_paths(root, until, days), *_paths(root, until, days, "backlinks_bulk")]
    if not paths:
        return []
    with _reading(paths) as connection:
        names = connection.execute(
            "SELECT DISTINCT target FROM read_parquet(?, hive_partitioning = false) ORDER BY target",
            [[unglobbed(path) for path in paths]],
        ).fetchall()
    return [name for (name,) in names]


def _paths(root: Path, until: dt.date, days: int, table: str = "backlinks_summary") -> list[Path]:
    first = until - dt.timedelta(days=days - 1)
    return [parquet_path(root.absolute(), table, day) for day in parquet.days(root, table) if first <= day <= until]


@contextmanager
def _reading(paths: Sequence[Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection in memory. An error of DuckDB becomes one that names the damaged file."""
    try:
        with closing(duckdb.connect()) as connection:
            yield connection
    except duckdb.Error as error:
        folder = paths[0].parent.parent
        raise (parquet.find_damaged(paths) or tables_error("read", folder, error)) from error
